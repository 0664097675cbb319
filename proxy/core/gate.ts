import { Answers } from './answers.ts';
import { connectFacts, outcomeForAudit, subjectDocument, subjectForAudit, upstreamLabels } from './documents.ts';
import { asGatewayError } from './errors.ts';
import { type HoldOwner, Holds, type Judged } from './holds.ts';
import type { Limits } from './limits.ts';
import { LiveSessions } from './live.ts';
import { claimPermitIssuer, type Permit } from './permit.ts';
import type {
  ApprovalPort,
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
import { approvalUnavailable, notAllowed, refusalOf } from './refusal.ts';
import { Session, type SessionOwner } from './session.ts';
import type { Tunnels } from './tunnels.ts';
import type {
  CommandDraft,
  Credential,
  Decision,
  Fault,
  Identity,
  JsonObject,
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
  /** Without it nothing can be approved. */
  readonly approvals?: ApprovalPort | undefined;
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
  readonly #answers: Answers;
  readonly #holds: Holds | undefined;
  readonly #stopListening: () => void;
  #draining = false;
  #rejections = 0;

  constructor(services: GateServices) {
    this.#services = services;
    this.live = new LiveSessions(this.#sessions, services.audit);
    this.#quarantines = new Quarantines(services.clock, services.limits.quarantinesMax);
    this.#rates = new Rates(services.clock, services.limits.rateWindowsMax);
    this.#answers = new Answers(services);
    const { approvals } = services;
    this.#holds = approvals && new Holds({ ...services, approvals }, this.#holdOwner());
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
    const authorization = await this.judge(session, { facts: connect });
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

  judge<Plan>(session: Session, draft: CommandDraft<Plan>): Authorization<Plan> | Promise<Authorization<Plan>> {
    const { clock, metrics } = this.#services;
    const startedMs = clock.monotonicMs();
    const decisionId = session.nextDecisionId();
    const answer = this.#decide(session, draft, decisionId);
    metrics.decisionSeconds(session.init.protocol).observe((clock.monotonicMs() - startedMs) / 1000);
    return answer;
  }

  #decide<Plan>(
    session: Session,
    draft: CommandDraft<Plan>,
    decisionId: string,
  ): Authorization<Plan> | Promise<Authorization<Plan>> {
    const asked = { session, draft, decisionId };
    const fault = this.#standingFault(session) ?? draft.facts.fault;
    if (fault !== undefined) return this.#answers.refuse(asked, fault, undefined);
    const answer = this.#ask(session, draft, undefined);
    if ('fault' in answer) return this.#answers.refuse(asked, answer.fault, undefined);
    const { decision } = answer;
    if (decision.quarantine !== undefined) this.#quarantine(session, decision.quarantine);
    if (decision.effect === 'allow') return this.#admit({ ...asked, decision }, none);
    if (decision.effect === 'deny') return this.#answers.refuse(asked, notAllowed(decision), decision);
    // The only way that takes time.
    if (this.#holds === undefined) return this.#answers.refuse(asked, approvalUnavailable, decision);
    const terms = draft.hold?.() ?? { mayWait: false };
    const held = { ...asked, decision, terms };
    return terms.prepares ? this.#holds.prepare(held) : this.#holds.hold(held);
  }

  #ask<Plan>(session: Session, { facts, variable }: CommandDraft<Plan>, approval: JsonObject | undefined) {
    return this.policy.decide({
      subject: session.subject,
      facts,
      session: session.context,
      history: () => this.#services.history.read(session.identity, session.init.upstream),
      approval,
      variable,
    });
  }

  /** An allow: carried over to the adapter, counted, audited, and only then a permit. */
  #admit<Plan>(held: Judged<Plan>, approvals: readonly string[]): Authorization<Plan> {
    const { session, draft, decisionId, decision } = held;
    const prepared = this.#answers.prepare(session, draft.facts, decision);
    if ('code' in prepared) return this.#answers.refuse(held, prepared, decision);
    const exceeded = this.#rates.take(session.identity, decision);
    if (exceeded !== undefined) return this.#answers.refuse(held, exceeded, decision);
    try {
      this.#services.audit.write({
        event: 'decided',
        members: prepared.members,
        own: {
          decision_id: decisionId,
          ...(approvals.length > 0 && { approvals: [...approvals] }),
          ...draft.audit?.(decision),
        },
      });
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'audit_unavailable', 'The audit trail cannot be written.');
      return this.#answers.refuse(held, fault, decision);
    }
    prepared.allowed.inc();
    return { permit: this.#permit(held, prepared.plan as Plan, approvals) };
  }

  #holdOwner(): HoldOwner {
    return {
      standingFault: (session) => this.#standingFault(session),
      ask: (session, draft, approval) => this.#ask(session, draft, approval),
      quarantine: (session, quarantine) => this.#quarantine(session, quarantine),
      prepare: (session, facts, decision) => this.#answers.prepare(session, facts, decision),
      admit: (held, approvals) => this.#admit(held, approvals),
      refuse: (held, fault, decision) => this.#answers.refuse(held, fault, decision),
      members: ({ session, draft, decision }) => this.#answers.members(session, draft.facts, decision, decision.effect),
    };
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

  #permit<Plan>(held: Judged<Plan>, plan: Plan, uses: readonly string[]): Permit<Plan> {
    const { session, decisionId, decision } = held;
    const { audit, metrics, history, approvals, clock } = this.#services;
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
      for (const id of uses) approvals?.finish(id, decisionId, outcome.status);
      if (decision.obligations.some(({ type }) => type === 'end_session')) {
        session.end(
          refusalOf(decisionId, { code: 'session_ended', message: 'Policy ends the session here.' }, [], true),
        );
      }
    });
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
      if (authorization instanceof Promise) void authorization.then((late) => this.#judgedAgain(session, late));
      else this.#judgedAgain(session, authorization);
    }
  }

  #judgedAgain(session: Session, authorization: Authorization): void {
    if ('permit' in authorization) authorization.permit.complete({ status: 'ok' });
    else session.end({ ...authorization.refusal, endSession: true });
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

const none: readonly string[] = [];

function same(one: Identity, other: Identity): boolean {
  return one.issuer === other.issuer && one.id === other.id;
}

/** Milliseconds, to the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
