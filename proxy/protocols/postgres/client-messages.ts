import type { Permit } from '../../core/permit.ts';
import type { Authorization } from '../../core/ports.ts';
import type { Fault, OperationFacts, Refusal } from '../../core/types.ts';
import type { Classification, ClassifiedStatement } from './classification.ts';
import { type Bind, frontend, frontendTypes, type MessageSink } from './codec.ts';
import type { Conversation } from './conversation.ts';
import { emptyStatement } from './database.ts';
import { faultFacts, sqlFacts, type Via } from './facts.ts';
import type { Classified, Portal, PreparedStatement, RecordedParameter } from './names.ts';
import { statementOf } from './names.ts';
import type { OperationPlan } from './plan.ts';
import { hidesParameter } from './redact.ts';
import { denyDescribe, denyQuery } from './refuse.ts';
import { resolve } from './resolve.ts';
import { Run } from './run.ts';

/** A message of the client that is being worked on; it may have to wait and be taken up again. */
interface Held {
  readonly type: number;
  readonly body: Buffer;
  readonly chunk: Buffer;
  readonly from: number;
  readonly to: number;
  /** The classification, once a worker has made it. */
  classification?: Classification;
}

/** Whether a message was dealt with, or must be taken up again after `Conversation.progressed`. */
type Progress = 'done' | 'wait';

/**
 * Client → upstream: judges every message that can run something, forwards what is permitted, and makes the
 * upstream fail in the place of what is not. Each forwarded message that has a reply leaves an entry in
 * `Conversation.expected`.
 */
export class ClientMessages implements MessageSink {
  readonly #talk: Conversation;
  #held: Held | undefined;
  #classifying = false;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
  }

  /** Takes up the message that waited, if any. True when there is none any more. */
  resume(): boolean {
    const held = this.#held;
    if (held === undefined) return true;
    if (this.#mustWait() || this.#dispatch(held) === 'wait') return false;
    this.#held = undefined;
    return true;
  }

  /** No message waits. */
  get idle(): boolean {
    return this.#held === undefined;
  }

  onMessage(type: number, body: Buffer, chunk: Buffer, from: number, to: number): boolean {
    const held: Held = { type, body, chunk, from, to };
    if (!this.#mustWait() && this.#dispatch(held) === 'done') return this.#talk.ending !== undefined;
    this.#held = held;
    return true;
  }

  /** CopyData is the only message that is not read whole. */
  onPassthrough(_type: number, chunk: Buffer, from: number, to: number): void {
    const talk = this.#talk;
    // Outside of COPY the server ignores it: a client goes on sending for a while after an error.
    if (!talk.copyIn) return;
    const head = talk.expected.head;
    const run = head?.kind === 'execute' ? head.run : head?.kind === 'query' ? head.runs[head.at] : undefined;
    if (run === undefined || !run.permit.open) return;
    run.bytes += to - from;
    talk.toUpstream.forward(run.permit, chunk, from, to);
  }

  #mustWait(): boolean {
    const talk = this.#talk;
    return talk.awaitingCopy || talk.cancelling !== undefined || this.#classifying || talk.refreshing;
  }

  #dispatch(message: Held): Progress {
    const talk = this.#talk;
    const { type } = message;
    if (talk.ending !== undefined) return 'done';
    if (talk.copyIn) return this.#duringCopy(message);
    if (talk.skipping && type !== frontendTypes.sync && type !== frontendTypes.terminate) return 'done';
    if (talk.expected.length >= talk.limits.expectedRepliesMax) return 'wait';
    switch (type) {
      case frontendTypes.query:
        return this.#query(message);
      case frontendTypes.parse:
        return this.#parse(message);
      case frontendTypes.bind:
        return this.#bind(message);
      case frontendTypes.describe:
        return this.#describe(message);
      case frontendTypes.execute:
        return this.#execute(message);
      case frontendTypes.close:
        return this.#close(message);
      case frontendTypes.sync:
        talk.skipping = false;
        talk.group += 1;
        talk.expected.push({ kind: 'sync' });
        return this.#forward(talk.session.permit, message);
      case frontendTypes.flush:
        return this.#forward(talk.session.permit, message);
      case frontendTypes.terminate:
        talk.leaving = true;
        return this.#forward(talk.session.permit, message);
      case frontendTypes.copyData:
      case frontendTypes.copyDone:
      case frontendTypes.copyFail:
        return 'done';
      case frontendTypes.functionCall:
        return this.#functionCall(message);
      default:
        return this.#malformed('This message is not expected here.');
    }
  }

  /** The server ignores Flush and Sync while it reads COPY data. */
  #duringCopy(message: Held): Progress {
    const talk = this.#talk;
    switch (message.type) {
      case frontendTypes.copyDone:
      case frontendTypes.copyFail:
        talk.copyIn = false;
        return this.#forward(talk.session.permit, message);
      case frontendTypes.flush:
      case frontendTypes.sync:
        return 'done';
      case frontendTypes.terminate:
        talk.leaving = true;
        return this.#forward(talk.session.permit, message);
      default:
        return this.#malformed('Only COPY data is expected here.');
    }
  }

  // --- the simple protocol ---------------------------------------------------------------------------

  #query(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseQuery(message.body);
    if (parsed === undefined) return this.#malformed('A Query message is malformed.');
    const judged = this.#judge(message, parsed.sql, 'simple');
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return this.#denyQuery(judged.refusal);
    const { permit, statements } = judged;
    const text = statements.some(definesName) ? Buffer.from(parsed.sql) : undefined;
    const runs = permit.plan.results.map((result) => new Run(permit, result, text));
    this.#forward(permit, message);
    talk.group += 1;
    talk.expected.push({ kind: 'query', runs, at: 0, failed: false });
    this.#begun(permit, statements, parsed.sql, noParameters);
    return 'done';
  }

  #denyQuery(refusal: Refusal): Progress {
    const talk = this.#talk;
    talk.group += 1;
    talk.expected.push({ kind: 'deny', refusal, simple: true });
    talk.toUpstream.insert(talk.session.permit, denyQuery(talk.nonce));
    this.#recordRefusal(refusal);
    return 'done';
  }

  // --- the extended protocol -------------------------------------------------------------------------

  #parse(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseParse(message.body);
    if (parsed === undefined) return this.#malformed('A Parse message is malformed.');
    if (talk.statements.full) return this.#denyExtended(this.#limit('prepared statements'));
    const judged = this.#judge(message, parsed.sql, 'extended', { phase: 'prepare' });
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return this.#denyExtended(judged.refusal);
    const prepared: PreparedStatement = {
      text: Buffer.from(parsed.sql),
      by: 'parse',
      classification: judged.classified,
      catalogEpoch: talk.database.epoch,
      sessionEpoch: talk.session.epoch,
      parameterTypes: parsed.parameterTypes,
      fields: undefined,
      describing: false,
    };
    this.#forward(judged.permit, message);
    if (judged.permit.plan.sensitive) talk.sensitive = true;
    const pending = talk.statements.define(parsed.statement, prepared, talk.group);
    talk.expected.push({ kind: 'parse', permit: judged.permit, pending });
    return 'done';
  }

  #bind(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseBind(message.body);
    if (parsed === undefined) return this.#malformed('A Bind message is malformed.');
    const found = talk.statements.find(parsed.statement, talk.group);
    if (found === 'unsettled') return 'wait';
    // The upstream does not know the name either, and says so.
    const prepared = found.value;
    if (prepared === undefined) return this.#forwardUnknown(message);
    if (talk.portals.full) return this.#denyExtended(this.#limit('portals'));
    const stale = this.#judgeAgain(prepared);
    if (stale === 'wait') return 'wait';
    if (stale !== undefined) return this.#denyExtended(stale);
    const portal: Portal = {
      prepared,
      resultFormats: parsed.resultFormats,
      parameters: this.#parametersOf(parsed, prepared),
      fields: undefined,
      describing: false,
      rows: 0,
    };
    talk.expected.push({ kind: 'bind', pending: talk.portals.define(parsed.portal, portal, talk.group) });
    return this.#forward(talk.session.permit, message);
  }

  #describe(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseTarget(message.body);
    if (parsed === undefined) return this.#malformed('A Describe message is malformed.');
    const names = parsed.kind === 'S' ? talk.statements : talk.portals;
    const found = names.find(parsed.name, talk.group);
    if (found === 'unsettled') return 'wait';
    if (found.value === undefined) return this.#forwardUnknown(message);
    found.value.describing = true;
    talk.expected.push({ kind: 'describe', of: found.value, portal: parsed.kind === 'P', swallow: false });
    return this.#forward(talk.session.permit, message);
  }

  #execute(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseExecute(message.body);
    if (parsed === undefined) return this.#malformed('An Execute message is malformed.');
    const found = talk.portals.find(parsed.portal, talk.group);
    if (found === 'unsettled') return 'wait';
    const portal = found.value;
    if (portal === undefined) return this.#forwardUnknown(message);
    const judged = this.#judgePrepared(portal.prepared, portal);
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return this.#denyExtended(judged.refusal);
    const { permit, statements } = judged;
    const result = permit.plan.results[0];
    const run = new Run(
      permit,
      result ?? { statement: emptyStatement, columns: undefined },
      portal.prepared.text,
      portal.rows,
    );
    this.#describeBefore(parsed.portal, portal, permit);
    this.#forward(permit, message);
    talk.expected.push({ kind: 'execute', run, portal });
    this.#begun(permit, statements, portal.prepared.text, portal.parameters);
    return 'done';
  }

  /** A result that is masked, or could meet what is masked, needs its columns known before its first row. */
  #describeBefore(name: string, portal: Portal, permit: Permit<OperationPlan>): void {
    const talk = this.#talk;
    const { prepared } = portal;
    const known = portal.fields ?? prepared.fields;
    if (!permit.plan.sensitive || known !== undefined || portal.describing || prepared.describing) return;
    portal.describing = true;
    talk.expected.push({ kind: 'describe', of: portal, portal: true, swallow: true });
    talk.toUpstream.insert(permit, frontend.describe('P', name));
  }

  #close(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseTarget(message.body);
    if (parsed === undefined) return this.#malformed('A Close message is malformed.');
    const closing = <T>(names: {
      define(name: string, value: undefined, group: number): T;
      confirm(p: T): void;
      discard(p: T): void;
    }) => {
      const pending = names.define(parsed.name, undefined, talk.group);
      return { kind: 'close' as const, confirm: () => names.confirm(pending), discard: () => names.discard(pending) };
    };
    talk.expected.push(parsed.kind === 'S' ? closing(talk.statements) : closing(talk.portals));
    return this.#forward(talk.session.permit, message);
  }

  #functionCall(message: Held): Progress {
    const talk = this.#talk;
    const fault: Fault = {
      code: 'operation_unsupported',
      message: 'FunctionCall runs a function by number and cannot be judged.',
    };
    const facts = faultFacts({ text: message.body, via: 'function_call', fault, action: 'call' }, talk.database.target);
    const answer = talk.session.authorize({ facts });
    if (answer instanceof Promise || 'permit' in answer) return this.#malformed('FunctionCall cannot be judged.');
    return this.#denyQuery(answer.refusal);
  }

  /** Bind, Describe or Execute of a name that was never made: the upstream fails at the denial's name instead. */
  #forwardUnknown(message: Held): Progress {
    const what = message.type === frontendTypes.execute ? 'portal' : 'prepared statement or portal';
    const fault: Fault = { code: 'operation_malformed', message: `There is no such ${what} on this connection.` };
    const facts = faultFacts({ text: message.body, via: 'extended', fault }, this.#talk.database.target);
    const answer = this.#talk.session.authorize({ facts });
    if (answer instanceof Promise || 'permit' in answer) return this.#malformed('An unknown name cannot be used.');
    return this.#denyExtended(answer.refusal);
  }

  #denyExtended(refusal: Refusal): Progress {
    const talk = this.#talk;
    talk.expected.push({ kind: 'deny', refusal, simple: false });
    talk.toUpstream.insert(talk.session.permit, denyDescribe(talk.nonce));
    // The upstream fails here, or failed before: either way it skips everything up to the next Sync.
    talk.skipping = true;
    this.#recordRefusal(refusal);
    return 'done';
  }

  // --- judging ---------------------------------------------------------------------------------------

  #judge(message: Held, sql: Buffer, via: Via, audit?: { readonly phase: string }): Judged | 'wait' {
    const classification = this.#classify(message, sql);
    return classification === undefined ? 'wait' : this.#judgeClassified(classification, sql, via, undefined, audit);
  }

  /** The classification, or `undefined` while a worker makes it. */
  #classify(message: Held, sql: Buffer): Classification | undefined {
    if (message.classification !== undefined) return message.classification;
    const answer = this.#talk.database.classify(sql);
    if (!(answer instanceof Promise)) return answer;
    this.#classifying = true;
    void answer.then((classification) => {
      message.classification = classification;
      this.#classifying = false;
      this.#talk.progressed();
    });
    return undefined;
  }

  #judgeClassified(
    classification: Classification,
    text: Uint8Array,
    via: Via,
    portal: Portal | undefined,
    audit?: { readonly phase: string },
  ): Judged | 'wait' {
    const { database, session, status } = this.#talk;
    if ('fault' in classification) {
      return refused(
        session.authorize({ facts: faultFacts({ text, via, fault: classification.fault }, database.target) }),
      );
    }
    const resolved = resolve(classification, this.#talk);
    if (resolved === 'unsettled') return 'wait';
    const { statements } = resolved;
    const inTransaction = status !== 'I';
    const make = (): OperationFacts<OperationPlan> =>
      sqlFacts(
        { text: Buffer.from(text), fingerprint: classification.fingerprint, statements, via, inTransaction },
        database.target,
      );
    const facts = resolved.alone
      ? database.facts.get(classification, `${via} ${inTransaction}`, database.target.labels, make)
      : make();
    const variable =
      portal && (() => ({ parameters: portal.parameters().map(({ type, value }) => ({ type, value })) }));
    const answer = session.authorize({ facts, variable, audit });
    if (answer instanceof Promise) throw new Error('approvals are not part of this path yet');
    return 'refusal' in answer ? answer : { permit: answer.permit, statements, classified: classification };
  }

  /** Judges a prepared statement that is about to run, classified anew when the catalog changed. */
  #judgePrepared(
    prepared: PreparedStatement,
    portal: Portal | undefined,
    audit?: { readonly phase: string },
  ): Judged | 'wait' {
    const talk = this.#talk;
    if (prepared.by !== 'declare' && prepared.catalogEpoch !== talk.database.epoch) {
      const again = talk.database.classify(prepared.text);
      if (again instanceof Promise) {
        this.#classifying = true;
        void again.then((classification) => {
          this.#reclassified(prepared, classification);
          this.#classifying = false;
          talk.progressed();
        });
        return 'wait';
      }
      this.#reclassified(prepared, again);
    }
    return this.#judgeClassified(prepared.classification, prepared.text, 'extended', portal, audit);
  }

  #reclassified(prepared: PreparedStatement, classification: Classification): void {
    prepared.catalogEpoch = this.#talk.database.epoch;
    prepared.fields = undefined;
    prepared.classification =
      'fault' in classification
        ? unclassified(prepared)
        : prepared.by === 'prepare'
          ? inner(classification)
          : classification;
  }

  /** A statement judged under an older policy or catalog is judged again before parameters reach the upstream. */
  #judgeAgain(prepared: PreparedStatement): Refusal | 'wait' | undefined {
    const talk = this.#talk;
    if (prepared.sessionEpoch === talk.session.epoch && prepared.catalogEpoch === talk.database.epoch) return undefined;
    const judged = this.#judgePrepared(prepared, undefined, { phase: 'bind' });
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return judged.refusal;
    judged.permit.complete({ status: 'ok' });
    prepared.sessionEpoch = talk.session.epoch;
    return undefined;
  }

  // --- after a permit --------------------------------------------------------------------------------

  /** What every permitted operation does once it is on its way. */
  #begun(
    permit: Permit<OperationPlan>,
    statements: readonly ClassifiedStatement[],
    text: Uint8Array,
    parameters: Portal['parameters'],
  ): void {
    const talk = this.#talk;
    if (permit.plan.sensitive) talk.sensitive = true;
    if (statements.some(({ changesCatalog }) => changesCatalog)) talk.catalogDirty = true;
    if (statements.some(({ control }) => control.type === 'copy_in')) talk.awaitingCopy = true;
    talk.database.record(talk.session, permit, text, statements, parameters);
    if (permit.plan.timeoutMs !== Number.POSITIVE_INFINITY) this.#limitTime(permit);
  }

  #limitTime(permit: Permit<OperationPlan>): void {
    const talk = this.#talk;
    const timer = setTimeout(() => {
      const head = talk.expected.head;
      const run = head?.kind === 'execute' ? head.run : head?.kind === 'query' ? head.runs[head.at] : undefined;
      if (!permit.open || run?.permit !== permit) return;
      run.cut = cutRefusal(permit.decisionId, 'The operation ran longer than policy allows.');
      talk.cancel();
    }, permit.plan.timeoutMs);
    timer.unref();
  }

  #forward(permit: Permit, message: Held): Progress {
    this.#talk.toUpstream.forward(permit, message.chunk, message.from, message.to);
    return 'done';
  }

  #malformed(message: string): Progress {
    this.#talk.fail({ code: 'operation_malformed', message });
    return 'done';
  }

  #limit(what: string): Refusal {
    const fault: Fault = { code: 'limit_reached', message: `This connection has too many ${what}.` };
    const facts = faultFacts({ text: Buffer.alloc(0), via: 'extended', fault }, this.#talk.database.target);
    const answer = this.#talk.session.authorize({ facts });
    return answer instanceof Promise || 'permit' in answer ? cutRefusal('', fault.message) : answer.refusal;
  }

  #recordRefusal(refusal: Refusal): void {
    const { decisionId, code, policy, message } = refusal;
    this.#talk.session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
  }

  /** Bound values as the recording and policy may see them, worked out when first asked for. */
  #parametersOf(bind: Bind, prepared: PreparedStatement): Portal['parameters'] {
    const { database, masker } = this.#talk;
    const values = Array.from({ length: bind.parameterCount }, (_, index) => {
      const value = bind.parameter(index);
      return value === null ? null : Buffer.from(value);
    });
    if (values.length === 0) return noParameters;
    const formats = bind.parameterFormats;
    let recorded: readonly RecordedParameter[] | undefined;
    return () => {
      recorded ??= values.map((value, index): RecordedParameter => {
        const format = formats[formats.length === 1 ? 0 : index] ?? 0;
        const type = prepared.parameterTypes[index] ?? 0;
        if (value === null) return { type, format, value: null, hashed: false };
        const hashed = hidesParameter(prepared.classification.statements, index + 1, (column) =>
          database.isSensitive(column),
        );
        if (hashed) return { type, format, value: masker.keyedHash(value), hashed };
        return {
          type,
          format,
          value: format === 0 ? value.toString('utf8').toWellFormed() : value.toString('hex'),
          hashed,
        };
      });
      return recorded;
    };
  }
}

type Judged =
  | { readonly refusal: Refusal }
  | {
      readonly permit: Permit<OperationPlan>;
      readonly statements: readonly ClassifiedStatement[];
      readonly classified: Classified;
    };

const noParameters: Portal['parameters'] = () => [];

/** What the client is told when the gateway ends a running operation. */
export function cutRefusal(decisionId: string, message: string): Refusal {
  return {
    decisionId,
    code: 'limit_reached',
    policy: undefined,
    message,
    hint: 'Ask for less at once, with WHERE and LIMIT.',
    reasons: [],
    endSession: false,
  };
}

function refused(answer: Authorization<OperationPlan> | Promise<Authorization<OperationPlan>>): {
  readonly refusal: Refusal;
} {
  if (answer instanceof Promise || 'permit' in answer) throw new Error('a fault was permitted');
  return answer;
}

/** PREPARE needs its text again when the catalog changes. */
function definesName({ control }: ClassifiedStatement): boolean {
  return control.type === 'prepare';
}

/** What a statement becomes whose text cannot be classified any more. */
function unclassified(prepared: PreparedStatement): Classified {
  const statement = statementOf(prepared) ?? emptyStatement;
  return {
    fingerprint: prepared.classification.fingerprint,
    statements: [{ ...statement, incomplete: ['no_longer_classified'] }],
  };
}

/** The classification of the statement inside a PREPARE. */
function inner(classification: Classified): Classified {
  const control = classification.statements[0]?.control;
  if (control?.type !== 'prepare')
    return { ...classification, statements: [{ ...emptyStatement, incomplete: ['unknown_prepared_statement'] }] };
  return { fingerprint: classification.fingerprint, statements: [control.statement] };
}
