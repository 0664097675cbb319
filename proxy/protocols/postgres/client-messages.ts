import type { Permit } from '../../core/permit.ts';
import type { Fault, Refusal } from '../../core/types.ts';
import type { ClassifiedStatement } from './classification.ts';
import { type ErrorFields, frontend, frontendTypes, type MessageSink } from './codec.ts';
import type { Conversation } from './conversation.ts';
import { emptyStatement } from './database.ts';
import { abandon, Judge, type Permitted, type Waiting } from './judge.ts';
import type { Portal, PreparedStatement } from './names.ts';
import { boundParameters, noParameters, recordRefusal, recordStatement } from './parameters.ts';
import type { OperationPlan } from './plan.ts';
import { denialFields, denyDescribe, denyQuery, errorFields } from './refuse.ts';
import { cutRefusal, Run } from './run.ts';
import { announce } from './settle.ts';

/** A message of the client that is being worked on; it may have to wait and be taken up again. */
interface Held extends Waiting {
  readonly type: number;
  readonly body: Buffer;
  readonly chunk: Buffer;
  readonly from: number;
  readonly to: number;
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
  /** A Flush is on its way, because the queue of expected replies is full. */
  #askedForReplies = false;
  readonly #judge: Judge;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
    this.#judge = new Judge(conversation);
  }

  /** Takes up the message that waited, if any. True when there is none any more, and the next one may be read. */
  resume(): boolean {
    const held = this.#held;
    if (held === undefined) return !this.#talk.awaitingCopy;
    if (this.#mustWait() || this.#dispatch(held) === 'wait') return false;
    this.#held = undefined;
    abandon(held);
    return !this.#talk.awaitingCopy;
  }

  /** The connection is over: what was permitted late does not run. */
  close(): void {
    if (this.#held !== undefined) abandon(this.#held);
  }

  /** No message waits. */
  get idle(): boolean {
    return this.#held === undefined;
  }

  onMessage(type: number, body: Buffer, chunk: Buffer, from: number, to: number): boolean {
    const held: Held = { type, body, chunk, from, to };
    if (!this.#mustWait() && this.#dispatch(held) === 'done') {
      // CopyData is not held back: it must not be read before the upstream wants it.
      return this.#talk.ending !== undefined || this.#talk.awaitingCopy;
    }
    this.#held = held;
    return true;
  }

  /** CopyData is the only message that is not read whole. */
  onPassthrough(_type: number, chunk: Buffer, from: number, to: number): void {
    const talk = this.#talk;
    // Outside of COPY the server ignores it: a client goes on sending for a while after an error.
    if (!talk.copyIn) return;
    const run = talk.running;
    if (run === undefined || !run.permit.open) return;
    run.bytes += to - from;
    talk.toUpstream.forward(run.permit, chunk, from, to);
  }

  #mustWait(): boolean {
    const talk = this.#talk;
    return talk.awaitingCopy || talk.cancelling !== undefined || this.#judge.busy || talk.refreshing;
  }

  #dispatch(message: Held): Progress {
    const talk = this.#talk;
    const { type } = message;
    if (talk.ending !== undefined) return 'done';
    // The server fails at a body here, and of Flush it makes an error that skips to Sync: replies would be counted wrong.
    if (bodiless.has(type) && message.body.length > 0)
      return this.#malformed('A message has a body where none may be.');
    if (talk.copyIn) return this.#duringCopy(message);
    if (talk.skipping && type !== frontendTypes.sync && type !== frontendTypes.terminate) return 'done';
    if (talk.expected.length >= talk.limits.expectedRepliesMax) return this.#waitForReplies();
    this.#askedForReplies = false;
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
        talk.executed = false;
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

  /** A server may keep replies back until the Sync, which can stand behind the message that waits: it is asked for them. */
  #waitForReplies(): Progress {
    const talk = this.#talk;
    if (!this.#askedForReplies) talk.toUpstream.insert(talk.session.permit, frontend.flush());
    this.#askedForReplies = true;
    return 'wait';
  }

  /** The server ignores Flush and Sync while it reads COPY data. */
  #duringCopy(message: Held): Progress {
    const talk = this.#talk;
    switch (message.type) {
      case frontendTypes.copyDone:
      case frontendTypes.copyFail:
        talk.copyIn = false;
        // Another COPY of the same string may follow: what comes next may be its data.
        talk.awaitingCopy = talk.expected.head?.kind === 'query';
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
    const judged = this.#judge.text(message, parsed.sql, 'simple');
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return this.#denyQuery(judged.refusal, judged.detail);
    const { permit, statements } = judged;
    const text = statements.some(definesName) ? Buffer.from(parsed.sql) : undefined;
    const runs = permit.plan.results.map((result) => new Run(permit, result, text));
    this.#forward(permit, message);
    talk.group += 1;
    talk.expected.push({ kind: 'query', runs, at: 0, failed: false });
    for (const run of runs) announce(talk, run);
    this.#begun(judged, noParameters.parameters);
    return 'done';
  }

  #denyQuery(refusal: Refusal, detail?: string): Progress {
    const talk = this.#talk;
    talk.group += 1;
    talk.expected.push({ kind: 'deny', words: denialFields(refusal, detail), simple: true });
    talk.toUpstream.insert(talk.session.permit, denyQuery(talk.nonce));
    recordRefusal(this.#talk.session, refusal);
    return 'done';
  }

  // --- the extended protocol -------------------------------------------------------------------------

  #parse(message: Held): Progress {
    const talk = this.#talk;
    const parsed = frontend.parseParse(message.body);
    if (parsed === undefined) return this.#malformed('A Parse message is malformed.');
    if (talk.statements.full) return this.#denyExtended(this.#limit('prepared statements'));
    const judged = this.#judge.text(message, parsed.sql, 'extended', { phase: 'prepare' }, parsed.parameterTypes);
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return this.#denyExtended(judged.refusal, judged.detail);
    const prepared: PreparedStatement = {
      text: Buffer.from(parsed.sql),
      by: 'parse',
      classification: judged.shaped.classification,
      places: judged.shaped.constants,
      statementText: undefined,
      catalogEpoch: talk.database.epoch,
      sessionEpoch: talk.session.epoch,
      parameterTypes: parsed.parameterTypes,
      fields: undefined,
      describing: false,
      bytes: parsed.sql.length,
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
    const prepared = found.value;
    if (prepared === undefined) return this.#unknownName('S', parsed.statement);
    if (talk.portals.full) return this.#denyExtended(this.#limit('portals'));
    const stale = this.#judge.stale(prepared);
    if (stale === 'wait') return 'wait';
    if (stale !== undefined) return this.#denyExtended(stale);
    const portal: Portal = {
      prepared,
      resultFormats: parsed.resultFormats,
      ...boundParameters(parsed, prepared, talk),
      fields: undefined,
      describing: false,
      rows: 0,
      hold: false,
      bytes: message.body.length,
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
    if (found.value === undefined) return this.#unknownName(parsed.kind, parsed.name);
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
    if (portal === undefined) return this.#unknownName('P', parsed.portal);
    const judged = this.#judge.prepared(portal.prepared, portal, { message });
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return this.#denyExtended(judged.refusal, judged.detail);
    const { permit } = judged;
    const result = permit.plan.results[0];
    const run = new Run(
      permit,
      result ?? { statement: emptyStatement, columns: undefined },
      portal.prepared.text,
      portal,
    );
    this.#describeBefore(parsed.portal, portal, permit);
    this.#forward(permit, message);
    talk.executed = true;
    talk.expected.push({ kind: 'execute', run, portal });
    // What waits for the name would wait for the client's next Sync as well, which may be behind it.
    if (announce(talk, run)) talk.toUpstream.insert(permit, frontend.flush());
    this.#begun(judged, portal.parameters);
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
    const why = 'FunctionCall runs a function by number and cannot be judged.';
    const fault: Fault = { code: 'operation_unsupported', message: why };
    return this.#denyQuery(this.#judge.refuse(fault, message.body, 'function_call', 'call'));
  }

  /** A name this connection never made: what the server would say, without asking it. */
  #unknownName(kind: 'S' | 'P', name: string): Progress {
    const what = kind === 'S' ? 'prepared statement' : 'portal';
    this.#judge.refuse(
      { code: 'operation_malformed', message: `There is no such ${what}.` },
      Buffer.from(name),
      'extended',
    );
    const sqlstate = kind === 'S' ? '26000' : '34000';
    const message = name === '' ? `unnamed ${what} does not exist` : `${what} "${name}" does not exist`;
    return this.#failExtended(errorFields({ severity: 'ERROR', sqlstate, message }));
  }

  #denyExtended(refusal: Refusal, detail?: string): Progress {
    recordRefusal(this.#talk.session, refusal);
    return this.#failExtended(denialFields(refusal, detail));
  }

  /** Makes the upstream fail here, or it failed before: either way it skips everything up to the next Sync. */
  #failExtended(words: ErrorFields): Progress {
    const talk = this.#talk;
    talk.expected.push({ kind: 'deny', words, simple: false });
    talk.toUpstream.insert(talk.session.permit, denyDescribe(talk.nonce));
    talk.skipping = true;
    return 'done';
  }

  // --- after a permit --------------------------------------------------------------------------------

  /** What every permitted operation does once it is on its way. */
  #begun({ permit, statements, text }: Permitted, parameters: Portal['parameters']): void {
    const talk = this.#talk;
    if (permit.plan.sensitive) talk.sensitive = true;
    if (statements.some(({ changesCatalog }) => changesCatalog)) talk.catalogDirty = true;
    if (statements.some(({ control }) => control.type === 'copy_in')) talk.awaitingCopy = true;
    recordStatement(talk.session, permit, text, parameters);
    if (permit.plan.timeoutMs !== Number.POSITIVE_INFINITY) this.#limitTime(permit);
  }

  #limitTime(permit: Permit<OperationPlan>): void {
    const talk = this.#talk;
    const timer = setTimeout(() => {
      const run = talk.running;
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
    return this.#judge.refuse(
      { code: 'limit_reached', message: `This connection has too many ${what}.` },
      Buffer.alloc(0),
      'extended',
    );
  }
}

const bodiless: ReadonlySet<number> = new Set([frontendTypes.sync, frontendTypes.flush, frontendTypes.copyDone]);

/** PREPARE needs its text again when the catalog changes. */
function definesName({ control }: ClassifiedStatement): boolean {
  return control.type === 'prepare';
}
