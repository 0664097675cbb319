import type { Outcome } from '../../core/types.ts';
import { cutRefusal } from './client-messages.ts';
import { backend, backendTypes, type ErrorFields, type FieldDescription, type MessageSink } from './codec.ts';
import type { Conversation } from './conversation.ts';
import type { Expected } from './expected.ts';
import { compileCopyMask, compileRowMask, scrubError } from './mask.ts';
import type { Portal, PreparedStatement } from './names.ts';
import { isDenial, refusalFields } from './refuse.ts';
import { outcomeOf, type Run } from './run.ts';
import { settle } from './settle.ts';

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
  /** Masked rows or COPY data, back to back, that one mask call will cover. */
  #batch: { readonly chunk: Buffer; readonly from: number; to: number } | undefined;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
  }

  /** Whether messages of a type must be read whole. Rows pass through unless they are masked. */
  inspects(type: number): boolean {
    if (type !== backendTypes.dataRow && type !== backendTypes.copyData) return true;
    return this.#running()?.masked === true;
  }

  /** Everything of a chunk has been read. */
  endOfChunk(): void {
    this.#applyMask();
  }

  /** Part of a row went to the client, and the rest has not arrived. */
  midMessage = false;

  onPassthrough(type: number, chunk: Buffer, from: number, to: number, first: boolean, last: boolean): void {
    const talk = this.#talk;
    const run = this.#running();
    if (run === undefined) {
      this.#desynchronised(type);
      return;
    }
    if (first) this.midMessage = this.#isChecked(run) && this.#passes(run);
    if (!this.midMessage) return;
    this.midMessage = !last;
    run.bytes += to - from;
    this.#recordRows(run, chunk, from, to);
    talk.toClient.range(chunk, from, to);
  }

  onMessage(type: number, body: Buffer, chunk: Buffer, from: number, to: number): boolean {
    const talk = this.#talk;
    if (talk.ending !== undefined) return true;
    if (type === backendTypes.dataRow || type === backendTypes.copyData) return this.#maskedRow(chunk, from, to);
    this.#applyMask();
    const muted = talk.muted;
    if (this.#reply(type, body) && (!muted || !talk.muted)) talk.toClient.range(chunk, from, to);
    return talk.ending !== undefined;
  }

  /** Columns that could meet what is masked are held against what was judged before the first row passes. */
  #isChecked(run: Run): boolean {
    return run.checked || !run.plan.sensitive || this.#fromDescription(run);
  }

  /** Whether the row that begins here goes to the client. A row that began goes on to its end, whatever happens. */
  #passes(run: Run): boolean {
    const talk = this.#talk;
    return talk.ending === undefined && !talk.muted && run.cut === undefined && this.#countRow(run);
  }

  /** Deals with one reply. True when it goes to the client as it is. */
  #reply(type: number, body: Buffer): boolean {
    const talk = this.#talk;
    const head = talk.expected.head;
    switch (type) {
      case backendTypes.parseComplete:
        if (head?.kind !== 'parse') return this.#desynchronised(type);
        talk.expected.shift();
        talk.statements.confirm(head.pending);
        head.permit.complete({ status: 'ok' });
        return true;
      case backendTypes.bindComplete:
        if (head?.kind !== 'bind') return this.#desynchronised(type);
        talk.expected.shift();
        talk.portals.confirm(head.pending);
        return true;
      case backendTypes.closeComplete:
        if (head?.kind !== 'close') return this.#desynchronised(type);
        talk.expected.shift();
        head.confirm();
        return true;
      case backendTypes.parameterDescription:
        return this.#parameterDescription(head, body);
      case backendTypes.rowDescription:
        return this.#rowDescription(head, body);
      case backendTypes.noData:
        if (head?.kind !== 'describe') return this.#desynchronised(type);
        talk.expected.shift();
        head.of.fields = [];
        head.of.describing = false;
        return !head.swallow;
      case backendTypes.commandComplete:
      case backendTypes.emptyQueryResponse:
        return this.#statementComplete(head, type, body);
      case backendTypes.portalSuspended:
        if (head?.kind !== 'execute') return this.#desynchronised(type);
        talk.expected.shift();
        this.#finished(head.run, head.portal, { status: 'ok', code: 'suspended' });
        return true;
      case backendTypes.copyInResponse:
        talk.awaitingCopy = false;
        if (this.#running()?.result.statement.control.type !== 'copy_in') return this.#desynchronised(type);
        talk.copyIn = true;
        talk.progressed();
        return true;
      case backendTypes.copyOutResponse:
        return this.#copyOut(body);
      case backendTypes.copyDone:
        return this.#copyDone();
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
        return this.#desynchronised(type);
    }
  }

  // --- descriptions ----------------------------------------------------------------------------------

  #parameterDescription(head: Expected | undefined, body: Buffer): boolean {
    if (head?.kind !== 'describe' || head.portal) return this.#desynchronised(backendTypes.parameterDescription);
    const types = backend.parseParameterDescription(body);
    if (types === undefined) return this.#desynchronised(backendTypes.parameterDescription);
    (head.of as PreparedStatement).parameterTypes = types;
    return !head.swallow;
  }

  #rowDescription(head: Expected | undefined, body: Buffer): boolean {
    const talk = this.#talk;
    const fields = backend.parseRowDescription(body);
    if (fields === undefined) return this.#desynchronised(backendTypes.rowDescription);
    if (head?.kind === 'describe') {
      talk.expected.shift();
      head.of.fields = fields;
      head.of.describing = false;
      return !head.swallow;
    }
    const run = this.#running();
    if (head?.kind !== 'query' || run === undefined) return this.#desynchronised(backendTypes.rowDescription);
    return this.#columnsKnown(run, fields, body);
  }

  /**
   * Holds the columns of a result against what was judged, and prepares the masks, before any row passes.
   * @returns whether the result may go on; the conversation ends otherwise.
   */
  #columnsKnown(run: Run, fields: readonly FieldDescription[], body?: Buffer): boolean {
    const talk = this.#talk;
    const disagreement = talk.database.disagreement(run.result, fields, body);
    if (disagreement !== undefined) return this.#failClosed(disagreement);
    run.checked = true;
    if (run.result.columns === undefined) return true;
    const mask = compileRowMask(run.result.columns, fields, talk.masker);
    if ('fault' in mask) return this.#failClosed(mask.fault);
    run.rowMask = mask;
    return true;
  }

  #copyOut(body: Buffer): boolean {
    const run = this.#running();
    const control = run?.result.statement.control;
    const response = backend.parseCopyResponse(body);
    if (run === undefined || response === undefined || control?.type !== 'copy_out') {
      return this.#desynchronised(backendTypes.copyOutResponse);
    }
    const { columns } = run.result;
    run.checked = true;
    if (columns === undefined) return true;
    if (response.format !== 0 || response.columnFormats.length !== columns.length) {
      return this.#failClosed('COPY answered with other columns than were judged.');
    }
    const types = this.#talk.database.outputTypes(run.result.statement);
    const mask = compileCopyMask(columns, types, control.options, this.#talk.masker);
    if ('fault' in mask) return this.#failClosed(mask.fault);
    run.copyMask = mask;
    return true;
  }

  #copyDone(): boolean {
    const run = this.#running();
    if (run === undefined) return this.#desynchronised(backendTypes.copyDone);
    const fault = run.copyMask?.finish();
    if (fault !== undefined) return this.#failClosed(fault.fault);
    return run.cut === undefined;
  }

  // --- rows ------------------------------------------------------------------------------------------

  #maskedRow(chunk: Buffer, from: number, to: number): boolean {
    const talk = this.#talk;
    const run = this.#running();
    if (run === undefined) {
      this.#desynchronised(backendTypes.dataRow);
      return true;
    }
    if (talk.muted || run.cut !== undefined || !this.#countRow(run)) return false;
    if (this.#batch?.chunk === chunk && this.#batch.to === from) this.#batch.to = to;
    else {
      this.#applyMask();
      this.#batch = { chunk, from, to };
    }
    return talk.ending !== undefined;
  }

  /** Masks the rows collected so far and sends them. */
  #applyMask(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const run = this.#running();
    if (run === undefined) return;
    if (run.rowMask === undefined && run.copyMask === undefined && !this.#fromDescription(run)) return;
    const masked = (run.copyMask ?? run.rowMask)?.apply(batch.chunk, batch.from, batch.to);
    if (masked === undefined || 'fault' in masked) {
      this.#failClosed(masked?.fault ?? 'Masked rows arrived before their columns were known.');
      return;
    }
    run.maskedCells += masked.cells;
    run.bytes += masked.output.length;
    this.#recordRows(run, masked.output, 0, masked.output.length);
    this.#talk.toClient.insert(masked.output);
  }

  /** In the extended protocol the columns come from an earlier Describe, their formats from Bind. */
  #fromDescription(run: Run): boolean {
    const head = this.#talk.expected.head;
    const portal = head?.kind === 'execute' ? head.portal : undefined;
    const fields = portal && fieldsOf(portal);
    if (fields === undefined) return this.#failClosed('Rows arrived before their columns were known.');
    return this.#columnsKnown(run, fields);
  }

  /** Counts a row against the bound of the decision. False when it must not go to the client. */
  #countRow(run: Run): boolean {
    if (run.rowsLeft > 0) {
      run.rows += 1;
      return true;
    }
    this.#applyMask();
    run.cut = cutRefusal(run.permit.decisionId, `Policy allows at most ${run.plan.maxRows} rows of this result.`);
    this.#talk.cancel();
    return false;
  }

  #recordRows(run: Run, chunk: Buffer, from: number, to: number): void {
    const { session, limits } = this.#talk;
    if (!run.plan.recordRows || run.recordedBytes >= limits.recordBytesPerOperationMax) return;
    const left = limits.recordBytesPerOperationMax - run.recordedBytes;
    const data = chunk.subarray(from, Math.min(to, from + left));
    run.recordedBytes += data.length;
    session.record({ decisionId: run.permit.decisionId, kind: 'rows', data });
  }

  // --- completions -----------------------------------------------------------------------------------

  #statementComplete(head: Expected | undefined, type: number, body: Buffer): boolean {
    const talk = this.#talk;
    const tag = type === backendTypes.commandComplete ? backend.parseCommandComplete(body)?.tag : '';
    if (tag === undefined) return this.#desynchronised(type);
    talk.copyIn = false;
    talk.awaitingCopy =
      head?.kind === 'query' &&
      head.runs.some(({ result }, at) => at > head.at && result.statement.control.type === 'copy_in');
    if (head?.kind === 'execute') {
      talk.expected.shift();
      if (this.#wasCut(head.run)) return this.#cutShort(head.run);
      settle(talk, head.run);
      this.#finished(head.run, head.portal, { status: 'ok', code: tag });
      return true;
    }
    if (head?.kind !== 'query') return this.#desynchronised(type);
    const run = head.runs[head.at];
    if (run === undefined) return type === backendTypes.emptyQueryResponse || this.#desynchronised(type);
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
    this.#talk.toClient.insert(backend.errorResponse(refusalFields(refusal)));
    run.permit.complete(outcomeOf([run], 'aborted', refusal.code));
    this.#talk.muted = true;
    return false;
  }

  #wasCut(run: Run): boolean {
    return run.cut !== undefined;
  }

  #finished(run: Run, portal: Portal, outcome: Outcome): void {
    portal.rows += run.rows;
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
    if (fields === undefined) return this.#desynchronised(backendTypes.errorResponse);
    talk.awaitingCopy = false;
    talk.copyIn = false;
    const words = this.#wordsFor(head, fields);
    const code = fields.get('C') ?? '';
    if (!talk.muted) talk.toClient.insert(backend.errorResponse(words));
    this.#recordError(head, words);
    if (head === undefined) {
      if (fields.get('V') !== 'FATAL' && fields.get('V') !== 'PANIC') this.#desynchronised(backendTypes.errorResponse);
    } else if (head.kind === 'query' || (head.kind === 'deny' && head.simple)) this.#simpleFailed(head, code);
    else if (head.kind !== 'sync') this.#extendedFailed(code);
    talk.progressed();
    return false;
  }

  /** What the client is told: the refusal, for a denial; nothing that may quote a masked value, otherwise. */
  #wordsFor(head: Expected | undefined, fields: ErrorFields): ErrorFields {
    const talk = this.#talk;
    if (head?.kind === 'deny' && isDenial(fields, talk.nonce)) return refusalFields(head.refusal, 'ERROR');
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
    if (ready === undefined || !ends) return this.#desynchronised(backendTypes.readyForQuery);
    talk.expected.shift();
    if (head.kind === 'query') head.runs[0]?.permit.complete(outcomeOf(head.runs, 'ok'));
    talk.status = ready.status;
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
    const status = backend.parseParameterStatus(body);
    if (status === undefined) return this.#desynchronised(backendTypes.parameterStatus);
    const fixed = fixedSettings.get(status.name);
    if (fixed !== undefined && fixed !== status.value)
      return this.#failClosed(`The setting ${status.name} may not change.`);
    return true;
  }

  /** The run whose rows, copy data or completion come next. */
  #running(): Run | undefined {
    const head = this.#talk.expected.head;
    if (head?.kind === 'execute') return head.run;
    return head?.kind === 'query' && !head.failed ? head.runs[head.at] : undefined;
  }

  #desynchronised(type: number): false {
    this.#talk.fail({
      code: 'internal_error',
      message: `The upstream sent ${JSON.stringify(String.fromCharCode(type))} where it was not expected.`,
    });
    return false;
  }

  #failClosed(message: string): false {
    this.#talk.fail({ code: 'mask_unprovable', message });
    return false;
  }
}

/** The columns of a portal's rows: as described, in the formats Bind asked for. */
function fieldsOf(portal: Portal): readonly FieldDescription[] | undefined {
  if (portal.fields !== undefined) return portal.fields;
  const { resultFormats, prepared } = portal;
  return prepared.fields?.map((field, index) => ({
    ...field,
    format: resultFormats[resultFormats.length === 1 ? 0 : index] ?? 0,
  }));
}
