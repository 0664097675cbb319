import type { Permit } from '../../core/permit.ts';
import type { Outcome, Refusal } from '../../core/types.ts';
import type { FieldDescription } from './codec.ts';
import type { CopyMask, RowMask } from './mask.ts';
import type { OperationPlan, ResultPlan } from './plan.ts';

/** One statement on its way: from the message that runs it to its completion. */
export class Run {
  readonly permit: Permit<OperationPlan>;
  readonly result: ResultPlan;
  /** The query string, kept only where the statement defines a name. */
  readonly text: Uint8Array | undefined;
  /** The portal that is executed: its rows are those of earlier executions, pipelined ones included. */
  readonly #portal: { readonly rows: number } | undefined;
  rows = 0;
  maskedCells = 0;
  bytes = 0;
  /** Bytes of rows that went into the recording. */
  recordedBytes = 0;
  /** Ready once the columns are known; `undefined` when nothing is masked. */
  rowMask: RowMask | undefined;
  copyMask: CopyMask | undefined;
  /** The columns of the result, once the upstream told them for this very run. */
  fields: readonly FieldDescription[] | undefined;
  /** The columns of the result were compared with what was judged. */
  checked = false;
  /** Each takes back that a name is unsettled because of this run. */
  readonly unsettled: (() => void)[] = [];
  /** Set when the gateway ends this run early: what the client is told. */
  cut: Refusal | undefined;

  constructor(
    permit: Permit<OperationPlan>,
    result: ResultPlan,
    text: Uint8Array | undefined,
    portal?: { readonly rows: number },
  ) {
    this.permit = permit;
    this.result = result;
    this.text = text;
    this.#portal = portal;
  }

  get plan(): OperationPlan {
    return this.permit.plan;
  }

  /** Whether cells of this result are masked. */
  get masked(): boolean {
    return this.result.columns !== undefined;
  }

  /** How many more rows may go to the client. */
  get rowsLeft(): number {
    return this.plan.maxRows - (this.#portal?.rows ?? 0) - this.rows;
  }
}

/** The outcome of an operation of one or more runs. */
export function outcomeOf(runs: readonly Run[], status: Outcome['status'], code?: string): Outcome {
  let rows = 0;
  let bytes = 0;
  let maskedCells = 0;
  for (const run of runs) {
    rows += run.rows;
    bytes += run.bytes;
    maskedCells += run.maskedCells;
  }
  return { status, code, rows, bytes, maskedCells };
}

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
