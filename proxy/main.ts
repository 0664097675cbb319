/**
 * The composition root: a configuration becomes services, services become a gate, the gate serves
 * listeners. Together with `wiring/`, the only place that knows all of them.
 */
import { hostname } from 'node:os';
import type { Api } from './admin/api/index.ts';
import { type Readiness, startAdmin } from './admin/index.ts';
import type { Approvals, Slack, SlackAnswer } from './approval/index.ts';
import { type Audit, openAudit, readSigningKey, type Sinks } from './audit/index.ts';
import { loadMaterials, type Materials } from './config/materials.ts';
import type { Address, Config } from './config.ts';
import type { ApprovalDesk } from './core/approvals.ts';
import { systemClock, ulids } from './core/clock.ts';
import { Closers } from './core/closers.ts';
import { Gate } from './core/gate.ts';
import { type Listener, listen } from './core/listener.ts';
import { type Log, silentLog } from './core/log.ts';
import { createMasker } from './core/masker.ts';
import type { Clock, ProtocolAdapter } from './core/ports.ts';
import { runtimeFault } from './core/runtime.ts';
import { Tunnels } from './core/tunnels.ts';
import { createHistory } from './history/index.ts';
import { createIdentity, type IdentityService } from './identity/index.ts';
import { createMetrics, type Metrics } from './metrics/registry.ts';
import { PolicyArchive } from './policy/archive.ts';
import { createPolicyEngine, type PolicyEngine } from './policy/engine.ts';
import { createAdapter } from './protocols/index.ts';
import { type Recorder, type RecordingIndex, recordingKey } from './record/index.ts';
import { startApprovals } from './wiring/approvals.ts';
import { startConsole } from './wiring/console.ts';
import { keepPolicy, policyArchiveOf, startRecording, startSinks } from './wiring/evidence.ts';
import { asError, noMaterials, type Surroundings } from './wiring/surroundings.ts';

/** What a test may put in the place of the machine's. */
export interface GatewayDependencies {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly desk?: ApprovalDesk;
}

/** A gateway that serves. */
export interface RunningGateway {
  /** What it listens on, in the order of the configuration. */
  readonly listeners: readonly (Address & { readonly protocol: string })[];
  readonly admin: Address;
  /** What to open in a browser; undefined when no console is configured. */
  readonly console: string | undefined;
  readonly readiness: Readiness;
  /** Where people decide on what is held. */
  readonly approvals: ApprovalDesk;
  /**
   * What Slack posts when somebody clicks, for whatever listener it is posted to: headers by lower-case name, the body as
   * it came. Undefined without `notify.slack`.
   */
  readonly slackAction:
    | ((
        headers: Readonly<Record<string, string | undefined>>,
        rawBody: Buffer,
        clientAddress: string,
      ) => Promise<SlackAnswer>)
    | undefined;
  /** Activates the bundle, the data and the certificates again. @throws when one cannot be; what was active stays. */
  reload(): Promise<void>;
  /** Brings everything audited so far to stable storage. @throws GatewayError `audit_unavailable` */
  flushAudit(): Promise<void>;
  /** Drains, then closes everything. Bounded by `drainTimeoutMs` and `closeTimeoutMs`. */
  close(): Promise<void>;
}

/**
 * Starts everything a configuration names. What cannot start is an error, and leaves nothing behind; an
 * issuer that cannot be reached yet only keeps the gateway from being ready.
 * @throws Error that says which part could not start.
 */
export async function startGateway(config: Config, dependencies: GatewayDependencies = {}): Promise<RunningGateway> {
  const fault = runtimeFault(process.versions.node);
  if (fault !== undefined) throw new Error(fault);
  const log = dependencies.log ?? silentLog;
  const clock = dependencies.clock ?? systemClock;
  const closers = new Closers();
  try {
    const materials = await loadMaterials(config);
    const services = await startServices(config, materials, { log, clock }, closers);
    const desk = dependencies.desk ?? services.approvals;
    const api = await startConsole(config, materials, { ...services, desk, log, clock }, closers);
    return await startListening(config, materials, services, { log, clock }, api, closers);
  } catch (error) {
    await closers.close(log, config.limits.closeTimeoutMs);
    throw error;
  }
}

/**
 * Reads everything a configuration refers to and activates its bundle, without serving or contacting anybody.
 * @returns the revisions that would be in force.
 * @throws Error that says what does not hold.
 */
export async function checkGateway(config: Config): Promise<{ readonly bundle: string; readonly data: string }> {
  const materials = await loadMaterials(config);
  if (materials.auditSigningKey !== undefined) readSigningKey(materials.auditSigningKey);
  for (const key of [materials.recordKey, ...materials.oldRecordKeys]) if (key !== undefined) recordingKey(key);
  const policy = await openPolicy(config, materials, { log: silentLog, clock: systemClock }, false);
  const { revisions } = policy;
  await policy.close();
  return revisions;
}

/** The services behind the gate, and the gate. */
interface Services {
  readonly policy: PolicyEngine;
  readonly audit: Audit;
  readonly identity: IdentityService;
  readonly recorder: Recorder;
  readonly recordings: { readonly index: RecordingIndex };
  readonly metrics: Metrics;
  readonly approvals: Approvals;
  readonly slack: Slack | undefined;
  readonly gate: Gate;
  readonly tunnels: Tunnels;
}

async function startServices(
  config: Config,
  materials: Materials,
  { log, clock }: Surroundings,
  closers: Closers,
): Promise<Services> {
  const metrics = createMetrics();
  let laggingSinceMs: number | undefined;
  metrics.watchAuditLag(() => (laggingSinceMs === undefined ? 0 : (clock.nowMs() - laggingSinceMs) / 1000));
  let sinks: Sinks | undefined;
  const audit = await openAudit({
    ...config.audit,
    onLag: (events) => {
      laggingSinceMs = events === 0 ? undefined : (laggingSinceMs ?? clock.nowMs());
    },
    key: materials.auditKey,
    blockedBy: () => sinks?.blockedBy,
    mayPrune: (lastSeq) => sinks?.mayPrune(lastSeq) ?? false,
    signingKey: materials.auditSigningKey === undefined ? undefined : readSigningKey(materials.auditSigningKey),
    clock,
    instance: `${hostname()}:${process.pid}`,
    host: hostname(),
    onError: (error) => log.error('audit', { error }),
  });
  closers.add('audit', () => audit.close());
  sinks = startSinks(config, materials, { audit, metrics, log, clock });
  closers.addAfter('audit sinks', () => sinks?.close());

  const policy = await openPolicy(config, materials, { log, clock }, config.policy.watch);
  closers.add('policy', () => policy.close());
  const archive = new PolicyArchive(policyArchiveOf(config));
  const activated = () => {
    metrics.bundleActivated(policy.revisions, clock.nowMs());
    log.info('policy activated', { ...policy.revisions });
    audit.write({
      event: 'activated',
      members: '',
      own: { ...policy.revisions, ...keepPolicy(policy.sources, archive, log) },
    });
  };
  activated();
  policy.onActivate(() => {
    try {
      activated();
    } catch (error) {
      // The trail is then refusing every decision as well, and says in its recovery that lines were lost.
      log.error('an activation is not in the trail', { error: asError(error) });
    }
  });

  const identity = await createIdentity({
    issuers: issuerOptions(config, materials),
    clock,
    onEvent: ({ issuer, event, error }) => {
      metrics.identityEvent(issuer, event);
      if (error !== undefined) log.warn('identity', { issuer, event, why: error });
    },
  });
  closers.add('identity', () => identity.close());

  const { recorder, recordings } = startRecording(config, materials, { audit, metrics, log, clock });
  closers.add('record', () => recorder.close());
  closers.add('retention', recordings.stop);

  const ids = ulids(clock);
  const { approvals, slack } = await startApprovals(config, materials, { audit, metrics, ids, log, clock }, closers);

  const tunnels = new Tunnels(config.limits);
  const gate = new Gate({
    policy,
    audit,
    recorder,
    metrics,
    identity,
    history: createHistory({ clock, windowSeconds: config.history.windowSeconds }),
    approvals,
    clock,
    ids,
    tunnels,
    limits: config.limits,
  });
  return { policy, audit, identity, recorder, recordings, metrics, approvals, slack, gate, tunnels };
}

async function openPolicy(
  config: Config,
  materials: Materials,
  { log, clock }: Surroundings,
  watch: boolean,
): Promise<PolicyEngine> {
  const { bundle, data, verification } = config.policy;
  return await createPolicyEngine({
    bundle: {
      file: bundle,
      // An empty key verifies nothing: a configured verification is never skipped.
      ...(verification && { verification: { ...verification, key: materials.verificationKey ?? '' } }),
    },
    data: { file: data },
    clock,
    watch,
    onEvent: (event) => {
      if (event.type === 'refused') log.error('policy refused; what was active stays', { why: event.fault.message });
    },
  });
}

function issuerOptions(config: Config, materials: Materials) {
  return config.identity.issuers.map(({ tokenType, algorithms, authorizedParties, ca: _file, ...issuer }, index) => {
    const ca = materials.issuerCas[index];
    return {
      ...issuer,
      typ: tokenType,
      ...(algorithms && { algorithms }),
      ...(authorizedParties && { authorizedParties }),
      ...(ca !== undefined && { ca }),
    };
  });
}

async function startListening(
  config: Config,
  materials: Materials,
  services: Services,
  { log, clock }: Surroundings,
  api: Api | undefined,
  closers: Closers,
): Promise<RunningGateway> {
  const { policy, audit, identity, recorder, metrics, approvals, slack, gate, tunnels } = services;
  const masker = createMasker({ key: materials.privacyKey });
  const bound: { readonly listener: Listener; readonly adapter: ProtocolAdapter }[] = [];
  let draining = false;
  const readiness = (): Readiness => {
    const checks = {
      policy: policy.ready,
      identity: identity.ready,
      audit: audit.ready,
      record: recorder.ready,
      listeners: bound.length === config.listeners.length && bound.every(({ listener }) => listener.ready),
      not_draining: !draining,
    };
    return { ready: Object.values(checks).every(Boolean), checks };
  };
  // Before the listeners, so that a gateway that starts can be told from a dead one; closed after them.
  const { hosts: allowedHosts, listen: adminAddress } = config.admin;
  const admin = await startAdmin({ ...adminAddress, allowedHosts, metrics, readiness });
  closers.add('admin', () => admin.close());

  let current = materials.listeners;
  for (const [index, configured] of config.listeners.entries()) {
    const { protocol, listen: address } = configured;
    const adapter = createAdapter(configured, {
      listener: () => current[index] ?? noMaterials(),
      upstreams: materials.upstreams,
      issuers: config.identity.issuers.map(({ issuer }) => issuer),
      mcpPins: config.mcp.pins,
      masker,
      clock,
      limits: config.limits,
    });
    closers.add(`${protocol} adapter`, () => adapter.close());
    for (const { name, address: at } of configured.upstreams) tunnels.add(name, { ...at, adapter });
    const listener = await listen({
      ...address,
      limits: config.limits,
      clock,
      log,
      serve: (connection) => adapter.serve(connection, gate),
      refused: () => metrics.refusal(protocol, 'limit_reached'),
    });
    closers.add(`${protocol} listener`, () => listener.drain(0));
    bound.push({ listener, adapter });
  }
  closers.add('sessions', async () => {
    draining = true;
    for (const { listener } of bound) listener.stop();
    gate.drain();
    await Promise.all(bound.map(({ listener }) => listener.drain(config.limits.drainTimeoutMs)));
  });

  let closing: Promise<void> | undefined;
  return {
    listeners: bound.map(({ listener, adapter }) => ({ ...addressOf(listener), protocol: adapter.protocol })),
    admin: admin.address,
    approvals,
    slackAction: slack && ((...click) => slack.action(approvals, ...click)),
    console: api?.url,
    get readiness() {
      return readiness();
    },
    async reload() {
      // All that can fail comes before anything changes.
      const { listeners: fresh, console: forPeople } = await loadMaterials(config);
      await policy.reload();
      current = fresh;
      api?.renew(forPeople?.tls);
    },
    flushAudit: () => audit.flush(),
    close() {
      closing ??= closers.close(log, config.limits.drainTimeoutMs + config.limits.closeTimeoutMs);
      return closing;
    },
  };
}

function addressOf({ host, port }: Listener): Address {
  return { host, port };
}
