import { decisionForAudit, subjectForAudit } from './documents.ts';
import type { Asked } from './holds.ts';
import type { AuditPort, HistoryPort, MetricsPort } from './ports.ts';
import { guarded, refusalOf, unsupportedIn } from './refusal.ts';
import type { Prepared, Session } from './session.ts';
import type { Decision, Fault, JsonObject, OperationFacts, Refusal } from './types.ts';

/** What answers are told to, besides the client. */
export interface AnswerServices {
  readonly audit: AuditPort;
  readonly metrics: MetricsPort;
  readonly history: HistoryPort;
}

/** What becomes of a decision short of a permit: the plan of an allow, a refusal, and how the trail describes either. */
export class Answers {
  readonly #services: AnswerServices;

  constructor(services: AnswerServices) {
    this.#services = services;
  }

  /** Carries a decision over to what each execution needs; once per pair of facts and decision. */
  prepare<Plan>(session: Session, facts: OperationFacts<Plan>, decision: Decision): Prepared | Fault {
    let byDecision = session.prepared.get(facts as OperationFacts<never>);
    const known = byDecision?.get(decision);
    if (known !== undefined) return known;
    const unsupported = unsupportedIn(decision, session.init.supports);
    if (unsupported !== undefined) return unsupported;
    const enforced = guarded(() => facts.enforce(decision));
    if ('fault' in enforced) return enforced.fault;
    const prepared: Prepared = {
      plan: enforced.plan,
      members: this.members(session, facts, decision, 'allow'),
      allowed: this.#services.metrics.decision(session.init.protocol, 'allow', decision.reasons[0]?.policy ?? ''),
    };
    if (byDecision === undefined) {
      byDecision = new WeakMap();
      session.prepared.set(facts as OperationFacts<never>, byDecision);
    }
    byDecision.set(decision, prepared);
    return prepared;
  }

  /** Audits and counts a refusal. Never throws. */
  refuse<Plan>(
    { session, draft, decisionId }: Asked<Plan>,
    fault: Fault,
    decision: Decision | undefined,
  ): { refusal: Refusal } {
    const { audit, metrics, history } = this.#services;
    const effect = decision?.effect === 'require_approval' ? 'require_approval' : 'deny';
    const reasons = decision?.effect === 'allow' ? [] : (decision?.reasons ?? []);
    const refusal = refusalOf(decisionId, fault, reasons, session.ended !== undefined);
    metrics.decision(session.init.protocol, effect, refusal.policy ?? '').inc();
    metrics.refusal(session.init.protocol, refusal.code);
    // Who asks for what it needs to ask for was refused nothing yet.
    const denied = refusal.code !== 'approval_pending';
    if (denied) history.note(session.identity, session.init.upstream, { denied });
    audit.append({
      event: 'decided',
      members: this.members(session, draft.facts, decision, effect),
      own: {
        decision_id: decisionId,
        code: refusal.code,
        message: refusal.message,
        ...(refusal.approval !== undefined && { approval: refusal.approval }),
        ...draft.audit?.(decision),
      },
    });
    return { refusal };
  }

  /** The members of `decided` that are the same at each execution, serialised. */
  members<Plan>(session: Session, facts: OperationFacts<Plan>, decision: Decision | undefined, effect: string): string {
    const described = guarded(() => ({ plan: facts.describe(decision) }));
    const operation = 'fault' in described ? { undescribed: described.fault.code } : described.plan;
    const resource = { type: facts.resource.type, id: facts.resource.id };
    const judged = { effect, action: facts.action.name, resource, labels: [...(decision?.labels ?? [])], operation };
    if (facts.action.name !== 'connect') session.record({ kind: 'judged', data: judged });
    const document: JsonObject = {
      session: session.id,
      protocol: session.init.protocol,
      upstream: session.init.upstream,
      subject: subjectForAudit(session.identity),
      effect,
      action: facts.action.name,
      resource,
      complete: facts.complete,
      operation,
      ...(decision && decisionForAudit(decision)),
    };
    return JSON.stringify(document).slice(1, -1);
  }
}
