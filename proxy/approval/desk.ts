import type {
  Approval,
  ApprovalDesk,
  ApprovalKey,
  ApprovalQuery,
  ApprovalStore,
  ApprovalUse,
  ApprovalVote,
} from '../core/approvals.ts';
import { subjectForAudit } from '../core/documents.ts';
import { asGatewayError, GatewayError } from '../core/errors.ts';
import { type Limits, limits } from '../core/limits.ts';
import type { ApprovalPort, AuditPort, Clock, Ids, MetricsPort } from '../core/ports.ts';
import type { Json, JsonObject, Outcome } from '../core/types.ts';
import { brokenGlass, expired, finished, orphaned, taken, voted } from './rules.ts';

/** What {@link Approvals} stands on. */
export interface ApprovalOptions {
  readonly store: ApprovalStore;
  readonly audit: Pick<AuditPort, 'append'>;
  readonly metrics: Pick<MetricsPort, 'approval'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly limits: Limits;
  /** This process, unlike any before it: what it leaves running when it is gone is unknown. */
  readonly gateway: string;
  readonly onError?: (error: unknown) => void;
}

/**
 * Requests for approval: filed by the gate, decided by people, used once by the gate. Every change is a pure rule that
 * the store carries out alone (`rules.ts`), and an audit event.
 */
export class Approvals implements ApprovalPort, ApprovalDesk {
  readonly #options: ApprovalOptions;
  readonly #watchers = new Map<string, Set<() => void>>();
  /** Outcomes of uses that the store does not have yet, by decision. */
  readonly #outcomes = new Map<string, { readonly id: string; readonly outcome: ApprovalUse['outcome'] }>();
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;
  #sweeps = 0;
  #pending = 0;

  constructor(options: ApprovalOptions) {
    this.#options = options;
    this.#stop = options.store.onChange((id) => {
      for (const listener of this.#watchers.get(id) ?? []) listener();
    });
    this.#timer = setInterval(() => void this.sweep(), options.limits.approvalSweepMs);
    this.#timer.unref();
  }

  /** Requests that wait for people, as of the last look. */
  get pendingCount(): number {
    return this.#pending;
  }

  // --- what the gate asks ------------------------------------------------------------------------------

  async find(key: ApprovalKey): Promise<readonly Approval[]> {
    const found = await this.#options.store.find(key);
    const current = await Promise.all(found.map((one) => this.#upToDate(one)));
    // A denial stands for as long as the request would have: approvers are not asked again and again.
    return current.filter(
      ({ state, expiresAtMs }) =>
        state === 'pending' || state === 'approved' || (state === 'denied' && this.#nowMs < expiresAtMs),
    );
  }

  async file(request: Parameters<ApprovalPort['file']>[0]): Promise<Approval> {
    const { store, ids } = this.#options;
    const pending = await store.pending(request.subject);
    this.#pending = pending.all;
    const fresh: Approval = {
      ...request,
      id: ids.session(),
      requestedAtMs: this.#nowMs,
      quorum: Math.min(request.quorum, this.#options.limits.approvalQuorumMax),
      uses: Math.min(request.uses, this.#options.limits.approvalUsesMax),
      state: 'pending',
      votes: [],
      used: [],
    };
    const known = await this.#same(request);
    if (known !== undefined) return known;
    if (
      pending.all >= this.#options.limits.approvalsPendingMax ||
      pending.own >= this.#options.limits.approvalsPendingPerSubjectMax
    ) {
      throw new GatewayError('limit_reached', 'Too many operations of this subject wait for approval.');
    }
    const { approval, filed } = await store.file(fresh);
    if (filed) {
      this.#pending += 1;
      this.#tell(approval, 'filed', {
        subject: subjectForAudit({ type: 'agent', ...approval.subject, chain: approval.chain }),
        groups: [...approval.groups],
        reasons: approval.reasons.map(({ policy, code, message }) => ({ policy, code, message })),
        client_address: approval.clientAddress,
        application: approval.application,
        action: approval.action,
        resource: { type: approval.resource.type, id: approval.resource.id },
        operation: fits(approval.operation) ? approval.operation : { undescribed: 'too_large' },
        ...termsForAudit(approval),
      });
    }
    return approval;
  }

  async take(id: string, decisionId: string): Promise<Approval | undefined> {
    const { store, gateway } = this.#options;
    let used: Approval | undefined;
    await store.update(id, (approval) => {
      used = taken(approval, { decisionId, gateway, atMs: this.#nowMs });
      return used ?? approval;
    });
    // Another gateway may have audited what was asked and who agreed: the trail of the one that lets it through has it too.
    if (used !== undefined) {
      const all = used.votes.map(voteForAudit);
      const votes = fits(all) ? all : all.map(({ reason: _, ...vote }) => vote);
      this.#tell(used, 'used', { decision_id: decisionId, ...termsForAudit(used), votes });
    }
    return used;
  }

  finish(id: string, decisionId: string, outcome: Outcome['status']): void {
    if (this.#outcomes.size >= this.#options.limits.approvalOutcomesMax) return;
    this.#outcomes.set(`${id} ${decisionId}`, { id, outcome });
    void this.#noteOutcomes().catch(() => {});
  }

  watch(id: string, listener: () => void): () => void {
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers.add(listener));
    return () => {
      watchers.delete(listener);
      if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id);
    };
  }

  // --- what people do ----------------------------------------------------------------------------------

  async list({ limit, ...query }: ApprovalQuery): Promise<readonly Approval[]> {
    return await this.#options.store.list({
      ...query,
      limit: Math.min(limit, this.#options.limits.approvalsListedMax),
    });
  }

  async get(id: string): Promise<Approval | undefined> {
    const found = await this.#options.store.get(id);
    return found && (await this.#upToDate(found));
  }

  async decide(id: string, vote: Omit<ApprovalVote, 'atMs' | 'brokeGlass'>): Promise<Approval> {
    const counted = { ...vote, atMs: this.#nowMs };
    return await this.#counted(id, 'voted', counted, (approval) => voted(approval, counted));
  }

  async breakGlass(id: string, own: Omit<ApprovalVote, 'atMs' | 'brokeGlass' | 'verdict'>): Promise<Approval> {
    const counted = { ...own, atMs: this.#nowMs };
    return await this.#counted(id, 'broken_glass', counted, (approval) => brokenGlass(approval, counted));
  }

  async #counted(
    id: string,
    what: string,
    word: Pick<ApprovalVote, 'approver' | 'channel' | 'clientAddress'>,
    rule: (approval: Approval) => Approval,
  ): Promise<Approval> {
    let about: Approval | undefined;
    const refused = (thrown: unknown): never => {
      this.#tellRefused(about, what, word, thrown);
      throw thrown;
    };
    const decided = await this.#options.store
      .update(id, (approval) => {
        about = approval;
        return rule(approval);
      })
      .catch(refused);
    const vote = decided?.votes.at(-1);
    if (decided === undefined || vote === undefined) {
      return refused(new GatewayError('approval_unknown', 'There is no such approval.'));
    }
    this.#tell(decided, what, voteForAudit(vote));
    return decided;
  }

  onChange(listener: (id: string) => void): () => void {
    return this.#options.store.onChange(listener);
  }

  // --- time --------------------------------------------------------------------------------------------

  /** Expires what is overdue, gives up what a gone gateway left, writes late outcomes. Never rejects. */
  async sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep()
      .catch((error: unknown) => this.#options.onError?.(error))
      .finally(() => {
        this.#sweeping = undefined;
      });
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const { store } = this.#options;
    await this.#noteOutcomes();
    for (const id of await store.overdue(this.#nowMs)) await this.#expire(id);
    for (const id of await store.orphaned()) {
      await store.update(id, (approval) => orphaned(approval, (gateway) => store.isGone(gateway)));
    }
    this.#pending = (await store.pending({ issuer: '', id: '' })).all;
    if (this.#sweeps++ % sweepsPerCleanup === 0) await store.forget(this.#nowMs - this.#options.limits.approvalsKeptMs);
  }

  async #noteOutcomes(): Promise<void> {
    for (const [key, { id, outcome }] of this.#outcomes) {
      const [, decisionId = ''] = key.split(' ');
      await this.#options.store.update(id, (approval) => finished(approval, decisionId, outcome));
      this.#outcomes.delete(key);
    }
  }

  async #upToDate(approval: Approval): Promise<Approval> {
    return isOver(approval, this.#nowMs) ? ((await this.#expire(approval.id)) ?? approval) : approval;
  }

  async #expire(id: string): Promise<Approval | undefined> {
    let expiredNow = false;
    const now = await this.#options.store.update(id, (approval) => {
      const after = expired(approval, this.#nowMs);
      expiredNow = after !== approval;
      return after;
    });
    if (now !== undefined && expiredNow) this.#tell(now, 'expired', {});
    return now;
  }

  /** The same request, waiting already: filing it again is no new request, however many there are. */
  async #same({ digest, grants }: Pick<Approval, 'digest' | 'grants'>): Promise<Approval | undefined> {
    const asked = JSON.stringify(grants);
    const known = await this.find({ digest });
    return known.find(
      (one) => one.state === 'pending' && one.digest === digest && JSON.stringify(one.grants) === asked,
    );
  }

  #tell({ id, digest, state, protocol, upstream, session }: Approval, what: string, own: JsonObject): void {
    const { audit, metrics } = this.#options;
    if (what !== 'voted' || state !== 'pending') metrics.approval(what === 'voted' ? state : what);
    audit.append({
      event: 'approval',
      members: '',
      own: { what, approval: id, digest, state, protocol, upstream, session, ...own },
    });
  }

  /** A word that does not count is in the trail as well: somebody tried. */
  #tellRefused(
    about: Approval | undefined,
    tried: string,
    { approver, channel, clientAddress }: Pick<ApprovalVote, 'approver' | 'channel' | 'clientAddress'>,
    thrown: unknown,
  ): void {
    this.#options.audit.append({
      event: 'approval',
      members: '',
      own: {
        ...{ what: 'refused', tried, code: asGatewayError(thrown, 'internal_error', '').code },
        ...(about && { approval: about.id, digest: about.digest, state: about.state, upstream: about.upstream }),
        ...{ approver: { issuer: approver.issuer, id: approver.id }, channel, client_address: clientAddress },
      },
    });
  }

  get #nowMs(): number {
    return this.#options.clock.nowMs();
  }

  /** Stops looking after them; what is open stays open in the store. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop();
    await this.#sweeping;
    await this.#noteOutcomes().catch((error: unknown) => this.#options.onError?.(error));
  }
}

const sweepsPerCleanup = 600;

/** Leaves room in an event of the trail for what else it says. */
function fits(value: Json): boolean {
  return Buffer.byteLength(JSON.stringify(value)) <= limits.auditEventBytesMax / 2;
}

/** What an approval takes, and what it is good for. */
function termsForAudit(approval: Approval): JsonObject {
  const { quorum, uses, mode, breakGlass, grants, shape, requestedAtMs, expiresAtMs } = approval;
  return {
    ...{ quorum, uses, mode, break_glass: breakGlass, ...(shape !== undefined && { shape }) },
    grants: grants.map(({ policy, code }) => ({ policy, code })),
    requested_at: new Date(requestedAtMs).toISOString(),
    expires_at: new Date(expiresAtMs).toISOString(),
  };
}

/** Who said what, when, from where, why. */
function voteForAudit({
  approver,
  verdict,
  channel,
  clientAddress,
  reason,
  atMs,
  brokeGlass,
}: ApprovalVote): JsonObject {
  return {
    approver: { issuer: approver.issuer, id: approver.id },
    ...{ verdict, channel, client_address: clientAddress, reason, at: new Date(atMs).toISOString() },
    ...(brokeGlass && { broke_glass: true }),
  };
}

function isOver(approval: Approval, nowMs: number): boolean {
  return expired(approval, nowMs) !== approval;
}
