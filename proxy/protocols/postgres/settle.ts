import type { ClassifiedStatement } from './classification.ts';
import type { Conversation } from './conversation.ts';
import type { Names, Pending, Portal, PreparedStatement } from './names.ts';
import { noParameters } from './parameters.ts';
import type { Run } from './run.ts';

/**
 * Marks the names that a statement will define or remove as unsettled, from the moment it is forwarded until it
 * completes or fails: a message behind it that uses one of them must not be judged by what it meant before.
 *
 * @returns whether there are any
 */
export function announce(talk: Conversation, run: Run): boolean {
  const { control } = run.result.statement;
  switch (control.type) {
    case 'prepare':
    case 'deallocate':
      unsettle(run, talk.statements, control.name);
      return true;
    case 'declare':
    case 'close':
      unsettle(run, talk.portals, control.name);
      return true;
    case 'discard':
      unsettle<PreparedStatement>(run, talk.statements, undefined);
      unsettle<Portal>(run, talk.portals, undefined);
      return true;
    default:
      return false;
  }
}

function unsettle<T extends { readonly bytes: number }>(run: Run, names: Names<T>, name: string | undefined): void {
  const pending: Pending<T> = names.unsettle(name);
  run.unsettled.push(() => names.discard(pending));
}

/** Ends what `announce` began, whatever became of the statement. Does nothing the second time. */
export function unannounce(run: Run): void {
  for (const discard of run.unsettled.splice(0)) discard();
}

/**
 * Carries a completed SQL statement over to the names it made or removed: PREPARE, DEALLOCATE, DECLARE,
 * CLOSE and DISCARD share their names with Parse, Bind and Close.
 */
export function settle(talk: Conversation, run: Run): void {
  const { statement } = run.result;
  const { control } = statement;
  if (run.unsettled.length > 0) {
    unannounce(run);
    talk.progressed();
  }
  switch (control.type) {
    case 'prepare':
      put(talk.statements, control.name, prepared(talk, run, control.statement, 'prepare'));
      break;
    case 'deallocate':
      remove(talk.statements, control.name);
      break;
    case 'declare':
      put(talk.portals, control.name, {
        prepared: prepared(talk, run, { ...statement, control: { type: 'none' } }, 'declare'),
        resultFormats: [],
        ...noParameters,
        fields: undefined,
        describing: false,
        rows: 0,
        hold: control.hold,
        bytes: run.result.statement.end - run.result.statement.start,
      });
      break;
    case 'close':
      remove(talk.portals, control.name);
      break;
    case 'discard':
      if (control.what !== 'all') break;
      talk.statements.clear();
      talk.portals.clear();
      break;
    default:
      break;
  }
}

function prepared(
  talk: Conversation,
  run: Run,
  statement: ClassifiedStatement,
  by: 'prepare' | 'declare',
): PreparedStatement {
  const { start, end } = run.result.statement;
  // The statement alone is kept: its literals move along with it.
  const literals = statement.literals.map((one) => ({ ...one, start: one.start - start, end: one.end - start }));
  return {
    text: run.text?.subarray(start, end) ?? new Uint8Array(),
    by,
    classification: {
      fingerprint: run.permit.decisionId,
      statements: [{ ...statement, literals }],
      inertConstants: new Set(),
    },
    places: undefined,
    statementText: undefined,
    catalogEpoch: talk.database.epoch,
    sessionEpoch: talk.session.epoch,
    parameterTypes: [],
    fields: undefined,
    describing: false,
    bytes: end - start,
  };
}

function put<T extends { readonly bytes: number }>(names: Names<T>, name: string, value: T): void {
  names.confirm(names.define(name, value, settled));
}

/** @param name - undefined: all of them */
function remove<T extends { readonly bytes: number }>(names: Names<T>, name: string | undefined): void {
  if (name === undefined) names.clear();
  else names.confirm(names.define(name, undefined, settled));
}

/** What is confirmed at once belongs to no group. */
const settled = -1;
