/**
 * Statements that are neither queries nor definitions: sessions, transactions, cursors, maintenance.
 */
import type { Control, Literal } from '../classification.ts';
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, constantText, emptyAst, flag, kindOf, list, number, text } from './ast.ts';
import { resolveFunctionCall } from './calls.ts';
import { defineRelation } from './define-relation.ts';
import { expression } from './expressions.ts';
import { readRelation, writeRelation } from './relations.ts';
import { nest } from './scope.ts';
import { changesMeaning } from './settings.ts';
import type { Meaning, Place } from './statements.ts';
import { anything, nothing } from './value.ts';

/** Facts of a utility statement, or `undefined` when the kind is not known. */
export function utility(a: Analysis, kind: string, body: Ast, place: Place): Meaning | undefined {
  switch (kind) {
    case 'TransactionStmt':
      return transaction(body);
    case 'VariableSetStmt':
      return set(a, body);
    case 'VariableShowStmt':
      return show(body);
    case 'ConstraintsSetStmt':
      for (const each of list(body, 'constraints')) a.seen.add(bodyOf(each));
      return { verb: 'set_constraints', effects: ['set'] };
    case 'ExecuteStmt':
      return execute(a, body, place);
    case 'DeallocateStmt':
      return {
        verb: 'deallocate',
        effects: ['select'],
        control: { type: 'deallocate', name: text(body, 'name') || undefined },
      };
    case 'FetchStmt':
      return fetch(body);
    case 'ClosePortalStmt':
      return {
        verb: 'close_cursor',
        effects: ['select'],
        control: { type: 'close', name: text(body, 'portalname') || undefined },
      };
    case 'DiscardStmt':
      return discard(body);
    case 'ListenStmt':
      return channel(a, body, 'listen');
    case 'UnlistenStmt':
      return channel(a, body, 'unlisten');
    case 'NotifyStmt':
      return channel(a, body, 'notify');
    case 'CallStmt':
      return call(a, body);
    case 'DoStmt':
      // A program in a language that is not followed.
      a.incomplete.add('opaque_body');
      a.changesCatalog = true;
      return { verb: 'do', effects: ['call'], opaque: true };
    default:
      return maintenance(a, kind, body);
  }
}

function transaction(body: Ast): Meaning {
  const kind = text(body, 'kind')
    .replace(/^TRANS_STMT_/, '')
    .toLowerCase();
  // Two-phase transactions outlive the session, and with it all that is known of them.
  const twoPhase = kind === 'prepare' || kind.endsWith('_prepared');
  return {
    verb: kind,
    effects: twoPhase ? ['utility', 'transaction'] : ['transaction'],
    control: { type: 'transaction', kind },
    opaque: true,
  };
}

function set(a: Analysis, body: Ast): Meaning {
  const kind = text(body, 'kind');
  const name = text(body, 'name').toLowerCase();
  const local = flag(body, 'is_local');
  if (kind === 'VAR_SET_MULTI') {
    // SET TRANSACTION and SET SESSION CHARACTERISTICS: isolation, read only, snapshots.
    if (name.includes('snapshot')) a.incomplete.add('snapshot_import');
    return {
      verb: 'set_transaction',
      effects: ['transaction'],
      control: { type: 'transaction', kind: 'set' },
      opaque: true,
    };
  }
  const args = list(body, 'args').map((node) => settingText(node));
  const value = kind === 'VAR_SET_VALUE' ? args.map((each) => each ?? '?').join(', ') : undefined;
  if (kind === 'VAR_RESET_ALL') {
    return {
      verb: 'reset',
      effects: ['set'],
      control: { type: 'set', name: 'all', value: undefined, local },
      opaque: true,
    };
  }
  const unread = kind === 'VAR_SET_CURRENT' || args.includes(undefined) || (args.length > 1 && name !== 'search_path');
  if (changesMeaning(name, unread ? 'unknown' : value, a.around.path)) {
    a.incomplete.add('setting_changes_meaning');
    a.changesCatalog = true;
  }
  return {
    verb: kind === 'VAR_RESET' ? 'reset' : 'set',
    effects: ['set'],
    // A setting of someone's own may hold anything.
    plainConstants: !name.includes('.'),
    control: { type: 'set', name, value, local },
    opaque: true,
  };
}

function settingText(node: Ast): string | undefined {
  return kindOf(node) === 'TypeCast' ? constantText(child(bodyOf(node), 'arg')) : constantText(node);
}

function show(body: Ast): Meaning {
  const name = text(body, 'name');
  const names = name === 'all' ? ['name', 'setting', 'description'] : [name];
  return { verb: 'show', effects: ['select'], output: names.map((each) => ({ name: each, value: nothing })) };
}

/** EXECUTE: what runs is known where the name is. Arguments are expressions without columns, but may call functions. */
function execute(a: Analysis, body: Ast, place: Place): Meaning {
  const args: Literal[] = list(body, 'params').map((node) => {
    const value = expression(a, node, nest(undefined));
    if (value.literals !== undefined) value.literals.find().unknown = true;
    return { ...literalRange(node, place), meets: 'unknown' };
  });
  const control: Control = { type: 'execute', name: text(body, 'name'), arguments: args };
  return { verb: 'execute', effects: ['select'], control };
}

function literalRange(node: Ast, place: Place): { start: number; end: number } {
  const inner = kindOf(node) === 'TypeCast' ? (child(bodyOf(node), 'arg') ?? emptyAst) : node;
  const location = number(bodyOf(inner), 'location');
  const token = kindOf(inner) === 'A_Const' ? place.tokens.find((each) => each.start === location) : undefined;
  return token ?? { start: place.start, end: place.end };
}

function fetch(body: Ast): Meaning {
  const move = flag(body, 'ismove');
  return {
    plainConstants: true,
    verb: move ? 'move' : 'fetch',
    effects: ['select'],
    control: { type: 'fetch', name: text(body, 'portalname'), move },
  };
}

function discard(body: Ast): Meaning {
  const targets: Record<string, 'all' | 'plans' | 'sequences' | 'temp'> = {
    DISCARD_ALL: 'all',
    DISCARD_PLANS: 'plans',
    DISCARD_SEQUENCES: 'sequences',
    DISCARD_TEMP: 'temp',
  };
  // Absent is zero, and zero is ALL.
  const what = targets[text(body, 'target')] ?? 'all';
  return { verb: `discard_${what}`, effects: ['set'], control: { type: 'discard', what } };
}

function channel(a: Analysis, body: Ast, verb: string): Meaning {
  const name = text(body, 'conditionname');
  if (name !== '') a.objects.add(`channel:${name}`);
  return { verb, effects: ['listen'] };
}

function call(a: Analysis, body: Ast): Meaning {
  const node = child(body, 'funccall') ?? emptyAst;
  a.changesCatalog = true;
  const resolved = resolveFunctionCall(a, node, nest(undefined));
  const { candidates } = resolved.call;
  // OUT parameters come back as one row.
  const [procedure] = candidates;
  const outputs = procedure?.outputs ?? [];
  if (candidates.length > 1 && candidates.some((each) => each.outputs.length > 0)) a.incomplete.add('unknown_columns');
  const output = outputs.map(({ name }) => ({ name, value: anything }));
  return { verb: 'call', effects: ['call'], ...(output.length > 0 ? { output } : {}) };
}

const accessShare = 1;
const rowShare = 2;

function maintenance(a: Analysis, kind: string, body: Ast): Meaning | undefined {
  switch (kind) {
    case 'TruncateStmt':
      return truncate(a, body);
    case 'LockStmt': {
      const weak = [accessShare, rowShare].includes(number(body, 'mode'));
      for (const node of list(body, 'relations')) {
        const relation = readRelation(a, bodyOf(node));
        if (relation !== undefined && !weak) a.record(relation).locked = true;
      }
      return { verb: 'lock_table', effects: ['utility'] };
    }
    case 'VacuumStmt': {
      for (const node of list(body, 'rels')) {
        const relation = child(bodyOf(node), 'relation');
        if (relation !== undefined) defineRelation(a, relation, 'unknown');
      }
      return { verb: flag(body, 'is_vacuumcmd') ? 'vacuum' : 'analyze', effects: ['utility'], opaque: true };
    }
    case 'ClusterStmt':
    case 'ReindexStmt': {
      const relation = child(body, 'relation');
      if (relation !== undefined) defineRelation(a, relation, 'unknown');
      return { verb: kind === 'ClusterStmt' ? 'cluster' : 'reindex', effects: ['utility'], opaque: true };
    }
    case 'CheckPointStmt':
      return { verb: 'checkpoint', effects: ['utility'], opaque: true };
    case 'LoadStmt':
      a.objects.add(`library:${text(body, 'filename')}`);
      a.incomplete.add('server_file');
      return { verb: 'load', effects: ['utility'], opaque: true };
    default:
      return undefined;
  }
}

function truncate(a: Analysis, body: Ast): Meaning {
  for (const node of list(body, 'relations')) {
    writeRelation(a, bodyOf(node));
  }
  // Which tables refer to these is not followed.
  if (text(body, 'behavior') === 'DROP_CASCADE') a.incomplete.add('cascade');
  return { verb: 'truncate', effects: ['truncate'] };
}
