import type { Decision, Outcome } from './types.ts';

let issuer: Issuer | undefined;
const brand: unique symbol = Symbol('permit');

/**
 * The right to forward one operation. Only the gate can make one: the constructor demands a key that
 * leaves this module once, through `claimPermitIssuer`.
 */
export class Permit<Plan = unknown> {
  readonly [brand] = true;
  readonly decisionId: string;
  readonly decision: Decision;
  /** How the adapter carries the decision out, as its `enforce` said. */
  readonly plan: Plan;
  readonly #complete: (outcome: Outcome) => void;
  #open = true;

  private constructor(decisionId: string, decision: Decision, plan: Plan, complete: (outcome: Outcome) => void) {
    this.decisionId = decisionId;
    this.decision = decision;
    this.plan = plan;
    this.#complete = complete;
  }

  /** False once `complete` was called: nothing more may be forwarded under it. */
  get open(): boolean {
    return this.#open;
  }

  /** Says what became of the operation: audit, metrics, history. Only the first call counts. */
  complete(outcome: Outcome): void {
    if (!this.#open) return;
    this.#open = false;
    this.#complete(outcome);
  }

  static {
    issuer = (decisionId, decision, plan, complete) => new Permit(decisionId, decision, plan, complete);
  }
}

type Issuer = <Plan>(
  decisionId: string,
  decision: Decision,
  plan: Plan,
  complete: (outcome: Outcome) => void,
) => Permit<Plan>;

/** Hands the permit issuer to its first caller, `gate.ts`, which claims it when it is loaded. @throws afterwards. */
export function claimPermitIssuer(): Issuer {
  if (issuer === undefined) throw new Error('the permit issuer is already claimed');
  const claimed = issuer;
  issuer = undefined;
  return claimed;
}
