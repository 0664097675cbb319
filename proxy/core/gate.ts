import {
  connectFacts,
  decisionForAudit,
  outcomeForAudit,
  subjectDocument,
  subjectForAudit,
  upstreamLabels,
} from './documents.ts';
import { asGatewayError } from './errors.ts';
import type { Limits } from './limits.ts';
import { LiveSessions } from './live.ts';
import { claimPermitIssuer, type Permit } from './permit.ts';
import type {
  AuditEvent,
  AuditPort,
  Authorization,
  Clock,
  Connection,
  Gateway,
  HistoryPort,
  IdentityPort,
  Ids,
  MetricsPort,
  PolicyPort,
  RecorderPort,
  SessionHandle,
} from './ports.ts';
import { Quarantines } from './quarantine.ts';
import { Rates } from './rates.ts';
import { guarded, notAllowed, refusalOf, unsupportedIn } from './refusal.ts';
import { type Prepared, Session, type SessionOwner } from './session.ts';
import type { Tunnels } from './tunnels.ts';
import type {
  CommandDraft,
  Credential,
  Decision,
  Fault,
  Identity,
  JsonObject,
  OperationFacts,
  Outcome,
  Refusal,
  SessionInit,
} from './types.ts';

const issuePermit = claimPermitIssuer();

/** What the gate is made of. */
export interface GateServices {
  readonly policy: PolicyPort;
  readonly audit: AuditPort;
  readonly recorder: RecorderPort;
  readonly metrics: MetricsPort;
  readonly identity: IdentityPort;
  readonly history: HistoryPort;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly tunnels: Tunnels;
  readonly limits: Limits;
}

/**
 * The gate: the one place where an operation is judged, and the only maker of a {@link Permit}.
 * Nothing reaches an upstream without one, and none is made before its `decided` event is written.
 */
export class Gate implements Gateway, SessionOwner {
  readonly #services: GateServices;
  readonly #sessions = new Map<string, Session>();
  /** The open sessions, for people. */
  readonly live: LiveSessions;
  readonly #quarantines: Quarantines;
  readonly #rates: Rates;
  readonly #stopListening: () => void;
  #draining = false;
  #rejections = 0;

  constructor(services: GateServices) {
    this.#services = services;
    this.live = new LiveSessions(this.#sessions, services.audit);
    this.#quarantines = new Quarantines(services.clock, services.limits.quarantinesMax);
    this.#rates = new Rates(services.clock, services.limits.rateWindowsMax);
    this.#stopListening = services.policy.onActivate(() => this.#judgeSessionsAgain());
  }

  get policy(): PolicyPort {
    return this.#services.policy;
  }

  get config(): JsonObject {
    return this.#services.policy.config;
  }

  get clock(): Clock {
    return this.#services.clock;
  }

  /** The open sessions, by id. */
  get sessions(): ReadonlyMap<string, Session> {
    return this.#sessions;
  }

  authenticate(credential: Credential): Promise<Identity> {
    return this.#services.identity.authenticate(credential);
  }

  async open(init: SessionInit): Promise<{ session: Session } | { refusal: Refusal }> {
    const { ids, clock, metrics, recorder } = this.#services;
    const id = ids.session();
    const subject = subjectDocument(init.identity);
    const context: JsonObject = {
      id,
      client_address: init.clientAddress,
      application: init.application.toWellFormed(),
      started_at: new Date(clock.nowMs()).toISOString(),
    };
    const connect = connectFacts(init, upstreamLabels(this.policy.config, init.upstream));
    let session: Session;
    try {
      const recording = recorder.open({
        id,
        protocol: init.protocol,
        header: { ...context, subject: subjectForAudit(init.identity), upstream: init.upstream },
      });
      session = new Session(this, id, init, { subject, context, connect }, recording);
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'record_unavailable', 'The session cannot be recorded.');
      return { refusal: this.reject({ ...init, fault }) };
    }
    const authorization = this.judge(session, { facts: connect });
    if ('refusal' in authorization) {
      await session.close({ status: 'error', code: authorization.refusal.code });
      return authorization;
    }
    session.opened(authorization.permit);
    this.#sessions.set(id, session);
    this.#endWhenExpired(session);
    metrics.sessionOpened(init.protocol);
    this.live.changed(id);
    return { session };
  }

  reject(about: { protocol: string; clientAddress: string; fault: Fault; identity?: Identity }): Refusal {
    this.#rejections += 1;
    const decisionId = `rejected.${this.#rejections}`;
    const event: AuditEvent = {
      event: 'rejected',
      members: '',
      own: {
        decision_id: decisionId,
        protocol: about.protocol,
        client_address: about.clientAddress,
        code: about.fault.code,
        message: about.fault.message,
        ...(about.identity && { subject: subjectForAudit(about.identity) }),
      },
    };
    this.#services.metrics.refusal(about.protocol, about.fault.code);
    this.#services.audit.append(event);
    return refusalOf(decisionId, about.fault, [], true);
  }

  issued({ identity, credential, ...about }: Parameters<Gateway['issued']>[0]): void {
    const { protocol, clientAddress } = about;
    this.#services.audit.write({
      event: 'issued',
      members: '',
      own: { protocol, client_address: clientAddress, subject: subjectForAudit(identity), credential },
    });
  }

  upstreamAt(host: string, port: number): string | undefined {
    return this.#services.tunnels.find(host, port);
  }

  handOver(connection: Connection, upstream: string, session: SessionHandle): Promise<void> {
    return this.#services.tunnels.serve(connection, upstream, { session, gateway: this });
  }

  judge<Plan>(session: Session, draft: CommandDraft<Plan>): Authorization<Plan> {
    const { clock, metrics } = this.#services;
    const startedMs = clock.monotonicMs();
    const decisionId = session.nextDecisionId();
    const answer = this.#decide(session, draft, decisionId);
    metrics.decisionSeconds(session.init.protocol).observe((clock.monotonicMs() - startedMs) / 1000);
    return answer;
  }

  #decide<Plan>(session: Session, draft: CommandDraft<Plan>, decisionId: string): Authorization<Plan> {
    const { facts } = draft;
    const fault = this.#standingFault(session) ?? facts.fault;
    if (fault !== undefined) return this.#refuse(session, draft, decisionId, fault, undefined);
    const answer = this.policy.decide({
      subject: session.subject,
      facts,
      session: session.context,
      history: () => this.#services.history.read(session.identity, session.init.upstream),
      variable: draft.variable,
    });
    if ('fault' in answer) return this.#refuse(session, draft, decisionId, answer.fault, undefined);
    const { decision } = answer;
    if (decision.quarantine !== undefined) this.#quarantine(session, decision.quarantine);
    if (decision.effect !== 'allow') return this.#refuse(session, draft, decisionId, notAllowed(decision), decision);
    const prepared = this.#prepare(session, facts, decision);
    if ('code' in prepared) return this.#refuse(session, draft, decisionId, prepared, decision);
    const exceeded = this.#rates.take(session.identity, decision);
    if (exceeded !== undefined) return this.#refuse(session, draft, decisionId, exceeded, decision);
    try {
      this.#services.audit.write({
        event: 'decided',
        members: prepared.members,
        own: { decision_id: decisionId, ...draft.audit?.(decision) },
      });
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'audit_unavailable', 'The audit trail cannot be written.');
      return this.#refuse(session, draft, decisionId, fault, decision);
    }
    prepared.allowed.inc();
    return { permit: this.#permit(session, decisionId, decision, prepared.plan as Plan) };
  }

  /** What refuses every operation of a session, whatever it is. */
  #standingFault(session: Session): Fault | undefined {
    if (session.ended !== undefined) return session.ended;
    if (this.#draining) return { code: 'draining', message: 'The gateway is shutting down.' };
    if (this.clock.nowMs() >= session.identity.expiresAtMs) {
      return { code: 'credential_expired', message: 'The token of this session has expired.' };
    }
    if (session.unrecorded) return { code: 'record_unavailable', message: 'The session can no longer be recorded.' };
    return this.#quarantines.find(session.identity);
  }

  /** Carries a decision over to what each execution needs; once per pair of facts and decision. */
  #prepare<Plan>(session: Session, facts: OperationFacts<Plan>, decision: Decision): Prepared | Fault {
    let byDecision = session.prepared.get(facts as OperationFacts<never>);
    const known = byDecision?.get(decision);
    if (known !== undefined) return known;
    const unsupported = unsupportedIn(decision, session.init.supports);
    if (unsupported !== undefined) return unsupported;
    const enforced = guarded(() => facts.enforce(decision));
    if ('fault' in enforced) return enforced.fault;
    const prepared: Prepared = {
      plan: enforced.plan,
      members: this.#members(session, facts, decision, 'allow'),
      allowed: this.#services.metrics.decision(session.init.protocol, 'allow', decision.reasons[0]?.policy ?? ''),
    };
    if (byDecision === undefined) {
      byDecision = new WeakMap();
      session.prepared.set(facts as OperationFacts<never>, byDecision);
    }
    byDecision.set(decision, prepared);
    return prepared;
  }

  #permit<Plan>(session: Session, decisionId: string, decision: Decision, plan: Plan): Permit<Plan> {
    const { audit, metrics, history, clock } = this.#services;
    const startedMs = clock.monotonicMs();
    return issuePermit(decisionId, decision, plan, (outcome) => {
      const elapsedMs = clock.monotonicMs() - startedMs;
      session.activity.completed(decisionId, outcome);
      metrics.upstreamSeconds(session.init.protocol).observe(elapsedMs / 1000);
      if (outcome.maskedCells) metrics.maskedCells(session.init.protocol).inc(outcome.maskedCells);
      if (decision.labels.length > 0 || outcome.rows) {
        history.note(session.identity, session.init.upstream, { labels: decision.labels, rows: outcome.rows ?? 0 });
      }
      audit.append({
        event: 'completed',
        members: '',
        own: {
          session: session.id,
          decision_id: decisionId,
          ...outcomeForAudit(outcome),
          duration_ms: round(elapsedMs),
        },
      });
      if (decision.obligations.some(({ type }) => type === 'end_session')) {
        session.end(
          refusalOf(decisionId, { code: 'session_ended', message: 'Policy ends the session here.' }, [], true),
        );
      }
    });
  }

  #refuse<Plan>(
    session: Session,
    draft: CommandDraft<Plan>,
    decisionId: string,
    fault: Fault,
    decision: Decision | undefined,
  ): { refusal: Refusal } {
    const { audit, metrics, history } = this.#services;
    const effect = decision?.effect === 'require_approval' ? 'require_approval' : 'deny';
    const reasons = decision?.effect === 'allow' ? [] : (decision?.reasons ?? []);
    const refusal = refusalOf(decisionId, fault, reasons, session.ended !== undefined);
    metrics.decision(session.init.protocol, effect, refusal.policy ?? '').inc();
    metrics.refusal(session.init.protocol, refusal.code);
    history.note(session.identity, session.init.upstream, { denied: true });
    audit.append({
      event: 'decided',
      members: this.#members(session, draft.facts, decision, effect),
      own: { decision_id: decisionId, code: refusal.code, message: refusal.message, ...draft.audit?.(decision) },
    });
    return { refusal };
  }

  #members<Plan>(
    session: Session,
    facts: OperationFacts<Plan>,
    decision: Decision | undefined,
    effect: string,
  ): string {
    const described = guarded(() => ({ plan: facts.describe(decision) }));
    const document: JsonObject = {
      session: session.id,
      protocol: session.init.protocol,
      upstream: session.init.upstream,
      subject: subjectForAudit(session.identity),
      effect,
      action: facts.action.name,
      resource: { type: facts.resource.type, id: facts.resource.id },
      complete: facts.complete,
      operation: 'fault' in described ? { undescribed: described.fault.code } : described.plan,
      ...(decision && decisionForAudit(decision)),
    };
    return JSON.stringify(document).slice(1, -1);
  }

  #quarantine(session: Session, quarantine: NonNullable<Decision['quarantine']>): void {
    const fault = { code: 'quarantined', message: quarantine.message };
    const whole = quarantine.scope === 'subject';
    if (whole) this.#quarantines.add(session.identity, fault, quarantine.ttlSeconds);
    for (const other of whole ? this.#sessions.values() : [session]) {
      if (same(other.identity, session.identity)) other.end(refusalOf(`${other.id}.end`, fault, [], true));
    }
  }

  /** A session outlives its token by a bounded grace, in which nothing new is permitted. */
  #endWhenExpired(session: Session): void {
    const { clock, limits } = this.#services;
    const leftMs = session.identity.expiresAtMs + limits.expiryGraceMs - clock.nowMs();
    if (leftMs === Number.POSITIVE_INFINITY) return;
    // Timers hold at most 2^31 - 1 ms; a longer token is looked at again by then.
    const timer = setTimeout(
      () => {
        if (clock.nowMs() < session.identity.expiresAtMs + limits.expiryGraceMs) return this.#endWhenExpired(session);
        const fault = { code: 'credential_expired', message: 'The token of this session has expired.' };
        session.end(refusalOf(`${session.id}.end`, fault, [], true));
      },
      Math.min(Math.max(leftMs, 0), 2 ** 31 - 1),
    );
    timer.unref();
    session.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    session.onClose(() => clearTimeout(timer));
  }

  /** A new policy judges the sessions that an older one let in. */
  #judgeSessionsAgain(): void {
    for (const session of this.#sessions.values()) {
      const authorization = this.judge(session, { facts: session.connect });
      if ('permit' in authorization) authorization.permit.complete({ status: 'ok' });
      else session.end({ ...authorization.refusal, endSession: true });
    }
  }

  closed(session: Session, outcome: Outcome): void {
    const known = this.#sessions.delete(session.id);
    if (!known) return;
    this.live.changed(session.id);
    session.permit.complete(outcome);
    this.#services.metrics.sessionClosed(session.init.protocol);
    this.#services.audit.append({
      event: 'closed',
      members: '',
      own: {
        session: session.id,
        ...outcomeForAudit(outcome),
        duration_ms: round(this.clock.nowMs() - session.startedAtMs),
      },
    });
  }

  /** Ends every session in the protocol's words. New ones are refused from here on. */
  drain(): void {
    this.#draining = true;
    this.#stopListening();
    for (const session of this.#sessions.values()) {
      const fault = { code: 'draining', message: 'The gateway is shutting down.' };
      session.end(refusalOf(`${session.id}.end`, fault, [], true));
    }
  }
}

function same(one: Identity, other: Identity): boolean {
  return one.issuer === other.issuer && one.id === other.id;
}

/** Milliseconds, to the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
