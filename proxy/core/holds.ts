/** Everything about an operation that policy wants a person to look at: grants, requests, waits. */
import type { Approval } from './approvals.ts';
import { operationDigest, shapeDigest } from './digest.ts';
import { asGatewayError } from './errors.ts';
import { estimated } from './hold-estimate.ts';
import { approvalDocument, documents, grantsAmong, grantsOf, isFor } from './hold-grants.ts';
import { abandonedFault, deniedFault, expiredFault, outdatedFault, pendingFault, pendingWords } from './hold-words.ts';
import type { Limits } from './limits.ts';
import type { ApprovalPort, AuditPort, Authorization, Clock, HistoryPort, MetricsPort } from './ports.ts';
import { approvalUnavailable, guarded, notAllowed } from './refusal.ts';
import type { Prepared, Session } from './session.ts';
import type {
  AccessRequest,
  CommandDraft,
  Decision,
  Fault,
  HoldTerms,
  JsonObject,
  OperationFacts,
  Quarantine,
  Refusal,
} from './types.ts';

/** What holds are made of. */
export interface HoldServices {
  readonly approvals: ApprovalPort;
  readonly audit: AuditPort;
  readonly metrics: MetricsPort;
  readonly history: HistoryPort;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** An operation that is being judged. */
export interface Asked<Plan> {
  readonly session: Session;
  readonly draft: CommandDraft<Plan>;
  readonly decisionId: string;
}

/** One that policy has decided on. */
export interface Judged<Plan> extends Asked<Plan> {
  readonly decision: Decision;
}

/** One that policy wants an approval for. */
export interface Held<Plan> extends Judged<Plan> {
  readonly terms: HoldTerms;
}

/** What a hold asks of the gate: everything about judging that has nothing to do with approvals. */
export interface HoldOwner {
  standingFault(session: Session): Fault | undefined;
  /** Policy's word, with this `context.approval`. */
  ask<Plan>(
    session: Session,
    draft: CommandDraft<Plan>,
    approval: JsonObject,
  ): { readonly decision: Decision } | { readonly fault: Fault };
  quarantine(session: Session, quarantine: Quarantine): void;
  prepare<Plan>(session: Session, facts: OperationFacts<Plan>, decision: Decision): Prepared | Fault;
  /** Audits an allow and makes its permit; `approvals` are those that it takes a use of. */
  admit<Plan>(held: Judged<Plan>, approvals: readonly string[]): Authorization<Plan>;
  refuse<Plan>(held: Asked<Plan>, fault: Fault, decision: Decision | undefined): { refusal: Refusal };
  members<Plan>(held: Judged<Plan>): string;
}

/** What an operation is known by while it is held. */
interface Place {
  readonly digest: string;
  readonly shape: string | undefined;
  /** Of policy and data when the facts were made. */
  readonly epoch: number;
  readonly startedMs: number;
}

/**
 * Holds operations. The only part of judging that takes time: a decision that is an allow or a deny never comes here.
 *
 * A use of a grant is taken, durably, before anything is audited as decided and before the permit exists: at most one
 * execution for each. What a crash leaves open is spent.
 */
export class Holds {
  readonly #services: HoldServices;
  readonly #owner: HoldOwner;
  #waiting = 0;

  constructor(services: HoldServices, owner: HoldOwner) {
    this.#services = services;
    this.#owner = owner;
  }

  /** Never rejects: a fault is a refusal. */
  async hold<Plan>(held: Held<Plan>): Promise<Authorization<Plan>> {
    const { metrics, clock } = this.#services;
    const startedMs = clock.monotonicMs();
    try {
      return await this.#hold(held, startedMs);
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'internal_error', 'The operation could not be held.');
      return this.#owner.refuse(held, fault, held.decision);
    } finally {
      const { protocol } = held.session.init;
      metrics.approvalWaitSeconds(protocol).observe((clock.monotonicMs() - startedMs) / 1000);
    }
  }

  /** What only prepares an operation: let through if approvals would let the operation through. */
  prepare<Plan>(held: Held<Plan>): Authorization<Plan> {
    const answer = this.#supposing(held, held.decision, []);
    if ('fault' in answer) return this.#owner.refuse(held, answer.fault, undefined);
    const { decision } = answer;
    if (decision.effect !== 'allow') return this.#owner.refuse(held, notAllowed(decision), decision);
    return this.#owner.admit({ ...held, decision }, []);
  }

  async #hold<Plan>(held: Held<Plan>, startedMs: number): Promise<Authorization<Plan>> {
    const place = placeOf(held, startedMs);
    if (place === undefined) return this.#owner.refuse(held, approvalUnavailable, held.decision);
    let asked: Approval | undefined;
    for (;;) {
      const known = await this.#services.approvals.find(place);
      const fault = this.#owner.standingFault(held.session) ?? (await this.#overFor(asked, known));
      if (fault !== undefined) return this.#owner.refuse(held, fault, held.decision);
      const granting = grantsAmong(known, place);
      const answer =
        granting.length === 0
          ? { decision: held.decision }
          : this.#owner.ask(held.session, held.draft, approvalDocument(granting));
      if ('fault' in answer) return this.#owner.refuse(held, answer.fault, undefined);
      const { decision } = answer;
      if (decision.quarantine !== undefined) this.#owner.quarantine(held.session, decision.quarantine);
      if (decision.effect === 'allow') {
        const used = await this.#use({ ...held, decision }, place, granting);
        if (used !== undefined) return used;
        continue;
      }
      const { accessRequest } = decision;
      if (accessRequest === undefined) return this.#owner.refuse(held, notAllowed(decision), decision);
      const denied = known.find((one) => one.state === 'denied' && isFor(one, place, decision));
      if (denied !== undefined) return this.#owner.refuse(held, deniedFault(denied), decision);
      const standing = known.find(({ id, state }) => id === asked?.id && state === 'pending');
      const filed = standing
        ? { approval: standing }
        : await this.#file({ ...held, decision }, place, accessRequest, known, granting);
      if ('refusal' in filed) return filed;
      const untilMs = this.#waitsUntil(held, place, accessRequest);
      if (asked?.id !== filed.approval.id) this.#audited({ ...held, decision }, filed.approval, untilMs);
      asked = filed.approval;
      if (untilMs === undefined || (await this.#wait(held, asked, untilMs)) === 'over') {
        return this.#owner.refuse(held, pendingFault(decision, asked), decision);
      }
      if (held.terms.signal?.aborted) return this.#owner.refuse(held, abandonedFault(asked), decision);
    }
  }

  /** Takes a use of each grant that the decision rests on, then makes the permit. Undefined: one is not there any more. */
  async #use<Plan>(
    held: Held<Plan>,
    place: Place,
    granting: readonly Approval[],
  ): Promise<Authorization<Plan> | undefined> {
    const { session, draft, decisionId, decision } = held;
    const { approvals, history } = this.#services;
    const ids = granting.map(({ id }) => id);
    // What would refuse it anyway does so before a use is spent.
    const prepared = this.#owner.prepare(session, draft.facts, decision);
    if ('code' in prepared) return this.#owner.refuse(held, prepared, decision);
    if (isOutdated(held, place)) return this.#owner.refuse(held, outdatedFault(ids), decision);
    const taken: string[] = [];
    const giveUp = () => {
      for (const id of taken) approvals.finish(id, decisionId, 'aborted');
    };
    for (const id of ids) {
      // Before it is known: a store that goes away while it answers may have taken it.
      taken.push(id);
      const use = await approvals.take(id, decisionId).catch((thrown: unknown) => {
        giveUp();
        throw thrown;
      });
      if (use === undefined) {
        giveUp();
        return undefined;
      }
    }
    // Whatever happened while the store wrote.
    const fault =
      this.#owner.standingFault(session) ??
      (isOutdated(held, place) ? outdatedFault(ids) : undefined) ??
      (held.terms.signal?.aborted ? abandonedFault(granting[0]) : undefined);
    const authorization =
      fault === undefined ? this.#owner.admit(held, ids) : this.#owner.refuse(held, fault, decision);
    if ('refusal' in authorization) giveUp();
    else history.note(session.identity, session.init.upstream, { approved: true });
    return authorization;
  }

  /** Asks people, once it is sure that their word would be enough: an approval never replaces an allow. */
  async #file<Plan>(
    held: Held<Plan>,
    place: Place,
    request: AccessRequest,
    known: readonly Approval[],
    granting: readonly Approval[],
  ): Promise<{ readonly approval: Approval } | { readonly refusal: Refusal }> {
    const { session, draft, decision } = held;
    const supposed = this.#supposing(held, decision, granting);
    if ('fault' in supposed) return this.#owner.refuse(held, supposed.fault, undefined);
    if (supposed.decision.effect === 'deny') {
      return this.#owner.refuse(held, notAllowed(supposed.decision), supposed.decision);
    }
    const { approvals, history, clock, limits } = this.#services;
    const { identity, init } = session;
    const { action, resource } = draft.facts;
    const isFiled = known.some((one) => one.state === 'pending' && isFor(one, place, decision));
    const ttlMs = Math.min(request.ttlSeconds, limits.approvalTtlSecondsMax) * 1000;
    const approval = await approvals.file({
      digest: place.digest,
      ...(request.reuse === 'shape' && place.shape !== undefined && { shape: place.shape }),
      protocol: init.protocol,
      upstream: init.upstream,
      labels: labelsOf(resource),
      session: session.id,
      subject: principal(identity),
      chain: identity.chain.map(principal),
      clientAddress: init.clientAddress,
      application: init.application.toWellFormed(),
      action: action.name,
      resource: { type: resource.type, id: resource.id },
      // Masks that will apply say what of it nobody may see.
      operation: this.#described(held, supposed.decision),
      reasons: decision.reasons,
      history: history.read(identity, init.upstream),
      // Of a request that is filed already, nothing is asked again.
      estimate: isFiled ? {} : await estimated(held.terms, limits.approvalEstimateMs),
      groups: request.groups,
      quorum: request.quorum,
      uses: request.uses,
      reasonRequired: request.reasonRequired,
      mode: request.mode,
      breakGlass: request.breakGlass,
      grants: grantsOf(decision),
      expiresAtMs: clock.nowMs() + ttlMs,
    });
    return { approval };
  }

  #described<Plan>({ draft, terms }: Held<Plan>, decision: Decision): JsonObject {
    const { facts, audit } = draft;
    const described = guarded(() => ({
      plan: { ...facts.describe(decision), ...audit?.(decision), ...terms.describe?.(decision) },
    }));
    if ('fault' in described) return { undescribed: described.fault.code };
    const bytes = Buffer.byteLength(JSON.stringify(described.plan));
    return bytes > this.#services.limits.approvalOperationBytesMax
      ? { undescribed: 'too_large', bytes }
      : described.plan;
  }

  /** What policy would say if everything that it wants approved were, however many approvals one after another. */
  #supposing<Plan>({ session, draft }: Held<Plan>, decision: Decision, granting: readonly Approval[]) {
    const grants = granting.flatMap((one) => one.grants);
    let answer: { readonly decision: Decision } | { readonly fault: Fault } = { decision };
    for (let round = 0; round < this.#services.limits.approvalsPerOperationMax; round++) {
      if ('fault' in answer || answer.decision.effect !== 'require_approval') break;
      grants.push(...grantsOf(answer.decision));
      answer = this.#owner.ask(session, draft, { id: '', grants: documents(grants) });
    }
    return answer;
  }

  // --- waiting ---------------------------------------------------------------------------------------

  /** Until when the client waits, in monotonic milliseconds; undefined when it does not. */
  #waitsUntil<Plan>({ terms }: Held<Plan>, { startedMs }: Place, request: AccessRequest): number | undefined {
    const { limits } = this.#services;
    if (request.mode !== 'wait' || !terms.mayWait) return undefined;
    if (this.#waiting >= limits.approvalWaitsMax) return undefined;
    return startedMs + Math.min(request.waitSeconds * 1000, limits.approvalWaitMsMax);
  }

  /** Until something may have changed, or the time is over. */
  #wait<Plan>({ session, terms }: Held<Plan>, approval: Approval, untilMs: number): Promise<'again' | 'over'> {
    const { approvals, clock, limits } = this.#services;
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0) return Promise.resolve('over');
    const { signal, notice } = terms;
    if (signal?.aborted || session.signal.aborted) return Promise.resolve('again');
    this.#waiting += 1;
    return new Promise((resolve) => {
      const wake = () => done('again');
      const stopWatching = approvals.watch(approval.id, wake);
      const deadline = setTimeout(() => done('over'), leftMs);
      // A store that could not say that something changed is asked as often as the client is told.
      const beat = setTimeout(wake, Math.min(limits.approvalNoticeMs, leftMs + 1));
      const done = (how: 'again' | 'over') => {
        this.#waiting -= 1;
        clearTimeout(deadline);
        clearTimeout(beat);
        stopWatching();
        signal?.removeEventListener('abort', wake);
        session.signal.removeEventListener('abort', wake);
        resolve(how);
      };
      signal?.addEventListener('abort', wake, { once: true });
      session.signal.addEventListener('abort', wake, { once: true });
      notice?.(`${pendingWords(approval)} Waiting for it.`);
    });
  }

  /** Why what was waited for cannot come any more. */
  async #overFor(asked: Approval | undefined, known: readonly Approval[]): Promise<Fault | undefined> {
    if (asked === undefined || known.some(({ id }) => id === asked.id)) return undefined;
    const now = await this.#services.approvals.get(asked.id);
    if (now?.state !== 'expired') return undefined;
    return expiredFault(asked);
  }

  #audited<Plan>(held: Held<Plan>, { id, digest, expiresAtMs }: Approval, untilMs: number | undefined): void {
    if (untilMs === undefined) return;
    const { audit } = this.#services;
    const { decisionId, draft, decision } = held;
    audit.append({
      event: 'held',
      members: this.#owner.members(held),
      own: {
        decision_id: decisionId,
        approval: id,
        digest,
        expires_at: new Date(expiresAtMs).toISOString(),
        ...draft.audit?.(decision),
      },
    });
  }
}

/** Undefined when no approval could be bound to the operation. */
function placeOf<Plan>({ session, draft, terms }: Held<Plan>, startedMs: number): Place | undefined {
  const { identity, init, epoch } = session;
  const { facts } = draft;
  const bound = terms.bound === undefined ? {} : terms.bound();
  if (bound === undefined || identity.type === 'gateway') return undefined;
  const variable = { ...draft.variable?.(), ...terms.counted?.() };
  const digest = operationDigest({ identity, facts, variable, bound });
  const shape =
    facts.shape === undefined ? undefined : shapeDigest(identity, init.upstream, facts.resource, facts.shape);
  return { digest, shape, epoch, startedMs };
}

/** The facts may not say any more what would run: labels or the catalog changed since they were made. */
function isOutdated<Plan>({ session, terms }: Held<Plan>, { epoch }: Place): boolean {
  return session.epoch !== epoch || terms.current?.() === false;
}

function principal({ issuer, id, groups }: { issuer: string; id: string; groups: readonly string[] }) {
  return { issuer, id, groups };
}

function labelsOf({ properties }: OperationFacts['resource']): JsonObject {
  const { labels } = properties;
  return typeof labels === 'object' && labels !== null && !Array.isArray(labels) ? (labels as JsonObject) : {};
}
