import type { Outcome } from '../../core/types.ts';
import { backend, backendTypes, type ErrorFields, type FieldDescription, type MessageSink } from './codec.ts';
import type { Conversation } from './conversation.ts';
import type { Expected } from './expected.ts';
import { scrubError } from './mask.ts';
import type { PreparedStatement } from './names.ts';
import { isDenial, refusalFields } from './refuse.ts';
import { ResultRows } from './result-rows.ts';
import { outcomeOf, type Run } from './run.ts';
import { settle, unannounce } from './settle.ts';

/** Settings whose change would make the server read SQL differently from the classifier. */
const fixedSettings: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
]);

/**
 * Upstream → client: follows the queue of expected replies. Forwards what the client asked for, masks rows,
 * rewrites the errors that stand for denials, swallows what only the gateway asked for. Whatever does not fit
 * the queue ends the conversation: after a desynchronisation nothing could be masked reliably.
 */
export class ServerMessages implements MessageSink {
  readonly #talk: Conversation;
  readonly #rows: ResultRows;
  #described: { readonly body: Buffer; readonly fields: readonly FieldDescription[] } | undefined;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
    this.#rows = new ResultRows(conversation);
  }

  /** Part of a row went to the client, and the rest has not arrived. */
  get midMessage(): boolean {
    return this.#rows.midMessage;
  }

  /** Whether messages of a type must be read whole. Rows pass through unless they are masked. */
  inspects(type: number): boolean {
    return (type !== backendTypes.dataRow && type !== backendTypes.copyData) || this.#talk.running?.masked === true;
  }

  /** Everything of a chunk has been read. */
  endOfChunk(): void {
    this.#rows.flush();
  }

  onPassthrough(type: number, chunk: Buffer, from: number, to: number, first: boolean, last: boolean): void {
    const run = this.#talk.running;
    if (run === undefined) this.#talk.desynchronised(type);
    else this.#rows.pass(run, chunk, from, to, first, last);
  }

  onMessage(type: number, body: Buffer, chunk: Buffer, from: number, to: number): boolean {
    const talk = this.#talk;
    if (talk.ending !== undefined) return true;
    if (type === backendTypes.dataRow || type === backendTypes.copyData) {
      const { running } = talk;
      if (running === undefined) talk.desynchronised(type);
      else this.#rows.mask(running, chunk, from, to);
      return talk.ending !== undefined;
    }
    this.#rows.flush();
    const { muted } = talk;
    if (this.#reply(type, body) && !(muted && talk.muted)) talk.toClient.range(chunk, from, to);
    return talk.ending !== undefined;
  }

  /** Deals with one reply. True when it goes to the client as it is. */
  #reply(type: number, body: Buffer): boolean {
    const talk = this.#talk;
    const head = talk.expected.head;
    switch (type) {
      case backendTypes.parseComplete:
        if (head?.kind !== 'parse') return talk.desynchronised(type);
        talk.expected.shift();
        talk.statements.confirm(head.pending);
        head.permit.complete({ status: 'ok' });
        return true;
      case backendTypes.bindComplete:
        if (head?.kind !== 'bind') return talk.desynchronised(type);
        talk.expected.shift();
        talk.portals.confirm(head.pending);
        return true;
      case backendTypes.closeComplete:
        if (head?.kind !== 'close') return talk.desynchronised(type);
        talk.expected.shift();
        head.confirm();
        return true;
      case backendTypes.parameterDescription:
        return this.#parameterDescription(head, body);
      case backendTypes.rowDescription:
        return this.#rowDescription(head, body);
      case backendTypes.noData:
        if (head?.kind !== 'describe') return talk.desynchronised(type);
        talk.expected.shift();
        head.of.fields = [];
        head.of.describing = false;
        return !head.swallow;
      case backendTypes.commandComplete:
      case backendTypes.emptyQueryResponse:
        return this.#statementComplete(head, type, body);
      case backendTypes.portalSuspended:
        if (head?.kind !== 'execute') return talk.desynchronised(type);
        talk.expected.shift();
        head.portal.rows += head.run.rows;
        if (this.#wasCut(head.run)) return this.#cutShort(head.run);
        this.#finished(head.run, { status: 'ok', code: 'suspended' });
        return true;
      case backendTypes.copyInResponse:
        talk.awaitingCopy = false;
        if (talk.running?.result.statement.control.type !== 'copy_in') return talk.desynchronised(type);
        talk.copyIn = true;
        talk.progressed();
        return true;
      case backendTypes.copyOutResponse:
        return this.#rows.copyBegins(body);
      case backendTypes.copyDone:
        return this.#rows.copyEnds();
      case backendTypes.errorResponse:
        return this.#error(head, body);
      case backendTypes.readyForQuery:
        return this.#ready(head, body);
      case backendTypes.noticeResponse:
        // A notice may quote what is masked (RAISE NOTICE): it is dropped once the session has met such data.
        return !talk.sensitive;
      case backendTypes.parameterStatus:
        return this.#parameterStatus(body);
      case backendTypes.notificationResponse:
        return true;
      default:
        return talk.desynchronised(type);
    }
  }

  // --- descriptions ----------------------------------------------------------------------------------

  #parameterDescription(head: Expected | undefined, body: Buffer): boolean {
    const talk = this.#talk;
    if (head?.kind !== 'describe' || head.portal) return talk.desynchronised(backendTypes.parameterDescription);
    const types = backend.parseParameterDescription(body);
    if (types === undefined) return talk.desynchronised(backendTypes.parameterDescription);
    (head.of as PreparedStatement).parameterTypes = types;
    return !head.swallow;
  }

  #rowDescription(head: Expected | undefined, body: Buffer): boolean {
    const talk = this.#talk;
    const fields = this.#fieldsOf(body);
    if (fields === undefined) return talk.desynchronised(backendTypes.rowDescription);
    if (head?.kind === 'describe') {
      talk.expected.shift();
      head.of.fields = fields;
      head.of.describing = false;
      return !head.swallow;
    }
    const run = talk.running;
    if (head?.kind !== 'query' || run === undefined) return talk.desynchronised(backendTypes.rowDescription);
    return this.#rows.columnsKnown(run, fields, body);
  }

  /** Statements that run again are described again in the same bytes: these are parsed once. */
  #fieldsOf(body: Buffer): readonly FieldDescription[] | undefined {
    if (this.#described?.body.equals(body)) return this.#described.fields;
    const fields = backend.parseRowDescription(body);
    this.#described = fields && { body: Buffer.from(body), fields };
    return fields;
  }

  // --- completions -----------------------------------------------------------------------------------

  #statementComplete(head: Expected | undefined, type: number, body: Buffer): boolean {
    const talk = this.#talk;
    const tag = type === backendTypes.commandComplete ? backend.parseCommandComplete(body)?.tag : '';
    if (tag === undefined) return talk.desynchronised(type);
    talk.copyIn = false;
    talk.awaitingCopy =
      head?.kind === 'query' &&
      head.runs.some(({ result }, at) => at > head.at && result.statement.control.type === 'copy_in');
    if (head?.kind === 'execute') {
      talk.expected.shift();
      head.portal.rows += head.run.rows;
      if (this.#wasCut(head.run)) return this.#cutShort(head.run);
      settle(talk, head.run);
      this.#finished(head.run, { status: 'ok', code: tag });
      return true;
    }
    if (head?.kind !== 'query') return talk.desynchronised(type);
    const run = head.runs[head.at];
    if (run === undefined) return type === backendTypes.emptyQueryResponse || talk.desynchronised(type);
    if (this.#wasCut(run)) return this.#cutShort(run);
    settle(talk, run);
    this.#recordComplete(run, tag);
    head.at += 1;
    return true;
  }

  /** The statement ended before the cancel reached it: the client is told what the gateway decided. */
  #cutShort(run: Run): boolean {
    const refusal = run.cut;
    if (refusal === undefined) return true;
    unannounce(run);
    this.#talk.toClient.insert(backend.errorResponse(refusalFields(refusal)));
    run.permit.complete(outcomeOf([run], 'aborted', refusal.code));
    this.#talk.muted = true;
    return false;
  }

  #wasCut(run: Run): boolean {
    return run.cut !== undefined;
  }

  #finished(run: Run, outcome: Outcome): void {
    unannounce(run);
    run.permit.complete(outcomeOf([run], outcome.status, outcome.code));
    this.#recordComplete(run, outcome.code ?? '');
  }

  #recordComplete(run: Run, tag: string): void {
    const data = { status: 'ok', tag, rows: run.rows, masked_cells: run.maskedCells };
    this.#talk.session.record({ decisionId: run.permit.decisionId, kind: 'complete', data });
  }

  // --- errors ----------------------------------------------------------------------------------------

  #error(head: Expected | undefined, body: Buffer): boolean {
    const talk = this.#talk;
    const fields = backend.parseErrorFields(body);
    if (fields === undefined) return talk.desynchronised(backendTypes.errorResponse);
    talk.awaitingCopy = false;
    talk.copyIn = false;
    const words = this.#wordsFor(head, fields);
    const code = fields.get('C') ?? '';
    if (!talk.muted) talk.toClient.insert(backend.errorResponse(words));
    this.#recordError(head, words);
    const last = fields.get('V') === 'FATAL' || fields.get('V') === 'PANIC';
    if (last && !talk.muted) talk.farewell = code;
    if (head === undefined) {
      if (!last) talk.desynchronised(backendTypes.errorResponse);
    } else if (head.kind === 'query' || (head.kind === 'deny' && head.simple)) this.#simpleFailed(head, code);
    else if (head.kind !== 'sync') this.#extendedFailed(code);
    talk.progressed();
    return false;
  }

  /** What the client is told: the refusal, for a denial; nothing that may quote a masked value, otherwise. */
  #wordsFor(head: Expected | undefined, fields: ErrorFields): ErrorFields {
    const talk = this.#talk;
    if (head?.kind === 'deny' && isDenial(fields, talk.nonce)) return head.words;
    const run = head?.kind === 'execute' ? head.run : head?.kind === 'query' ? head.runs[head.at] : undefined;
    if (run?.cut !== undefined) return refusalFields(run.cut, 'ERROR');
    return talk.sensitive ? new Map(scrubError([...fields])) : fields;
  }

  #simpleFailed(head: Expected & { kind: 'query' | 'deny' }, code: string): void {
    if (head.kind === 'deny') return;
    head.failed = true;
    head.runs[0]?.permit.complete(outcomeOf(head.runs, 'error', code));
  }

  /** The upstream skips everything up to the next Sync: so does the queue, and so must the client's messages. */
  #extendedFailed(code: string): void {
    const talk = this.#talk;
    const { skipped, syncSent } = talk.expected.skipToSync();
    const [failed, ...rest] = skipped;
    if (failed !== undefined) talk.abandon([failed], { status: 'error', code });
    talk.abandon(rest, { status: 'aborted' });
    if (!syncSent) talk.skipping = true;
  }

  #recordError(head: Expected | undefined, words: ErrorFields): void {
    const decisionId =
      head?.kind === 'execute'
        ? head.run.permit.decisionId
        : head?.kind === 'query'
          ? head.runs[0]?.permit.decisionId
          : undefined;
    if (decisionId === undefined) return;
    const data = { status: 'error', sqlstate: words.get('C') ?? '', message: words.get('M') ?? '' };
    this.#talk.session.record({ decisionId, kind: 'complete', data });
  }

  // --- the rest --------------------------------------------------------------------------------------

  #ready(head: Expected | undefined, body: Buffer): boolean {
    const talk = this.#talk;
    const ready = backend.parseReadyForQuery(body);
    const ends = head?.kind === 'sync' || head?.kind === 'query' || (head?.kind === 'deny' && head.simple);
    if (ready === undefined || !ends) return talk.desynchronised(backendTypes.readyForQuery);
    talk.expected.shift();
    if (head.kind === 'query') {
      head.runs[0]?.permit.complete(outcomeOf(head.runs, 'ok'));
      head.runs.forEach(unannounce);
    }
    talk.status = ready.status;
    if (ready.status === 'I') talk.portals.keep(({ hold }) => hold);
    talk.awaitingCopy = false;
    talk.muted = false;
    if (talk.catalogDirty && ready.status === 'I') {
      talk.catalogDirty = false;
      talk.refreshing = true;
      void talk.database.refresh().then(() => {
        talk.refreshing = false;
        talk.progressed();
      });
    }
    talk.progressed();
    return true;
  }

  #parameterStatus(body: Buffer): boolean {
    const talk = this.#talk;
    const status = backend.parseParameterStatus(body);
    if (status === undefined) return talk.desynchronised(backendTypes.parameterStatus);
    const fixed = fixedSettings.get(status.name);
    if (fixed !== undefined && fixed !== status.value)
      return talk.failClosed(`The setting ${status.name} may not change.`);
    return true;
  }
}
