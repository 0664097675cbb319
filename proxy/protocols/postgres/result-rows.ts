import { backend, backendTypes, type FieldDescription } from './codec.ts';
import type { Conversation } from './conversation.ts';
import type { Expected } from './expected.ts';
import { compileCopyMask, compileRowMask } from './mask.ts';
import type { Portal } from './names.ts';
import { cutRefusal, type Run } from './run.ts';

/**
 * The rows and COPY data of results on their way to the client: counted against the bound of the decision,
 * masked in batches, recorded as the client sees them.
 */
export class ResultRows {
  /** Part of a row went to the client, and the rest has not arrived. */
  midMessage = false;
  readonly #talk: Conversation;
  /** Rows or COPY data of one run, back to back, that are dealt with together. */
  #batch: { readonly run: Run; readonly chunk: Buffer; readonly from: number; to: number } | undefined;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
  }

  /**
   * A part of a row that is not masked: `chunk[from..to)`, the `first` or the `last` or one between. A row that began
   * goes on to its end, whatever happens.
   */
  pass(run: Run, chunk: Buffer, from: number, to: number, first: boolean, last: boolean): void {
    if (first) this.midMessage = this.#isChecked(run) && this.#goesOn(run) && this.#count(run);
    if (!this.midMessage) return;
    this.midMessage = !last;
    this.#collect(run, chunk, from, to);
  }

  /** A whole row to be masked, with those that follow it in the chunk. */
  mask(run: Run, chunk: Buffer, from: number, to: number): void {
    if (this.#goesOn(run) && this.#count(run)) this.#collect(run, chunk, from, to);
  }

  /** Sends the rows collected so far, masked where they must be. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const { run, chunk, from, to } = batch;
    if (run.masked) {
      this.#sendMasked(run, chunk, from, to);
      return;
    }
    run.bytes += to - from;
    this.#record(run, chunk, from, to);
    this.#talk.toClient.range(chunk, from, to);
  }

  #collect(run: Run, chunk: Buffer, from: number, to: number): void {
    const batch = this.#batch;
    if (batch !== undefined && batch.to === from && batch.chunk === chunk && batch.run === run) {
      batch.to = to;
      return;
    }
    this.flush();
    this.#batch = { run, chunk, from, to };
  }

  #sendMasked(run: Run, chunk: Buffer, from: number, to: number): void {
    if (run.rowMask === undefined && run.copyMask === undefined && !this.#fromDescription(run)) return;
    const masked = (run.copyMask ?? run.rowMask)?.apply(chunk, from, to);
    if (masked === undefined || 'fault' in masked) {
      this.#talk.failClosed(masked?.fault ?? 'Masked rows arrived before their columns were known.');
      return;
    }
    run.maskedCells += masked.cells;
    run.bytes += masked.output.length;
    this.#record(run, masked.output, 0, masked.output.length);
    this.#talk.toClient.insert(masked.output);
  }

  /**
   * Holds the columns of a result against what was judged, and prepares the masks, before any row passes.
   *
   * @param body - the RowDescription itself, when it belongs to this very result
   * @returns whether the result may go on; the conversation ends otherwise
   */
  columnsKnown(run: Run, fields: readonly FieldDescription[], body?: Buffer): boolean {
    const talk = this.#talk;
    const disagreement = talk.database.disagreement(run.result, fields, body);
    if (disagreement !== undefined) return talk.failClosed(disagreement);
    run.checked = true;
    run.fields = fields;
    if (run.result.columns === undefined) return true;
    const mask = compileRowMask(run.result.columns, fields, talk.masker);
    if ('fault' in mask) return talk.failClosed(mask.fault);
    run.rowMask = mask;
    return true;
  }

  /** CopyOutResponse. Returns whether the client gets it. */
  copyBegins(body: Buffer): boolean {
    const talk = this.#talk;
    const run = talk.running;
    const control = run?.result.statement.control;
    const response = backend.parseCopyResponse(body);
    if (run === undefined || response === undefined || control?.type !== 'copy_out') {
      return talk.desynchronised(backendTypes.copyOutResponse);
    }
    run.checked = true;
    const { columns } = run.result;
    if (columns === undefined) return true;
    if (response.format !== 0 || response.columnFormats.length !== columns.length) {
      return talk.failClosed('COPY answered with other columns than were judged.');
    }
    const types = talk.database.outputTypes(run.result.statement);
    const mask = compileCopyMask(columns, types, control.options, talk.masker);
    if ('fault' in mask) return talk.failClosed(mask.fault);
    run.copyMask = mask;
    return true;
  }

  /** CopyDone of the upstream. Returns whether the client gets it. */
  copyEnds(): boolean {
    const talk = this.#talk;
    const run = talk.running;
    if (run === undefined) return talk.desynchronised(backendTypes.copyDone);
    const fault = run.copyMask?.finish();
    if (fault !== undefined) return talk.failClosed(fault.fault);
    return run.cut === undefined;
  }

  /** In the extended protocol the columns come from an earlier Describe, their formats from Bind. */
  #fromDescription(run: Run): boolean {
    const fields = described(this.#talk.expected.head);
    if (fields === undefined) return this.#talk.failClosed('Rows arrived before their columns were known.');
    return this.columnsKnown(run, fields);
  }

  /** Columns that could meet what is masked are held against what was judged before the first row passes. */
  #isChecked(run: Run): boolean {
    return run.checked || !run.plan.sensitive || this.#fromDescription(run);
  }

  #goesOn(run: Run): boolean {
    const talk = this.#talk;
    return talk.ending === undefined && !talk.muted && run.cut === undefined;
  }

  /** Counts a row against the bound of the decision. False when it must not go to the client. */
  #count(run: Run): boolean {
    if (run.rowsLeft > 0) {
      run.rows += 1;
      return true;
    }
    this.flush();
    run.cut = cutRefusal(run.permit.decisionId, `Policy allows at most ${run.plan.maxRows} rows of this result.`);
    this.#talk.cancel();
    return false;
  }

  /** The columns before the first row of a result, where they are known. */
  #recordColumns(run: Run): void {
    const { session, expected } = this.#talk;
    const fields = run.fields ?? described(expected.head);
    if (fields === undefined) return;
    const data = {
      names: fields.map(({ name }) => name),
      types: fields.map(({ typeOid }) => typeOid),
      formats: fields.map(({ format }) => format),
    };
    session.record({ decisionId: run.permit.decisionId, kind: 'columns', data });
  }

  #record(run: Run, chunk: Buffer, from: number, to: number): void {
    const { session, limits } = this.#talk;
    const left = limits.recordBytesPerOperationMax - run.recordedBytes;
    if (!run.plan.recordRows || left <= 0) return;
    if (run.recordedBytes === 0) this.#recordColumns(run);
    const data = chunk.subarray(from, Math.min(to, from + left));
    run.recordedBytes += data.length;
    session.record({ decisionId: run.permit.decisionId, kind: 'rows', data });
  }
}

function described(head: Expected | undefined): readonly FieldDescription[] | undefined {
  return head?.kind === 'execute' ? fieldsOf(head.portal) : undefined;
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
