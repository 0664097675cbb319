/**
 * The composition root: a configuration becomes services, services become a gate, the gate serves
 * listeners. The only file that knows all of them.
 */
import { hostname } from 'node:os';
import type { Api } from './admin/api/index.ts';
import { noApprovals } from './admin/api/no-approvals.ts';
import { type Readiness, startAdmin } from './admin/index.ts';
import { type Audit, openAudit } from './audit/index.ts';
import { loadMaterials, type Materials } from './config/materials.ts';
import type { Address, Config } from './config.ts';
import { startConsole } from './console.ts';
import type { ApprovalDesk } from './core/approvals.ts';
import { systemClock, ulids } from './core/clock.ts';
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
import { createPolicyEngine, type PolicyEngine } from './policy/engine.ts';
import { createAdapter } from './protocols/index.ts';
import { createRecorder, type Recorder } from './record/index.ts';

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
  /** Activates the bundle, the data and the certificates again. @throws when one cannot be; what was active stays. */
  reload(): Promise<void>;
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
    const desk = dependencies.desk ?? noApprovals;
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
  const policy = await openPolicy(config, materials, { log: silentLog, clock: systemClock }, false);
  const { revisions } = policy;
  await policy.close();
  return revisions;
}

/** What is injected everywhere. */
interface Surroundings {
  readonly log: Log;
  readonly clock: Clock;
}

/** The services behind the gate, and the gate. */
interface Services {
  readonly policy: PolicyEngine;
  readonly audit: Audit;
  readonly identity: IdentityService;
  readonly recorder: Recorder;
  readonly metrics: Metrics;
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
  const audit = await openAudit({
    ...config.audit,
    onLag: (events) => {
      laggingSinceMs = events === 0 ? undefined : (laggingSinceMs ?? clock.nowMs());
    },
    key: materials.auditKey,
    clock,
    instance: `${hostname()}:${process.pid}`,
    host: hostname(),
    onError: (error) => log.error('audit', { error }),
  });
  closers.add('audit', () => audit.close());

  const policy = await openPolicy(config, materials, { log, clock }, config.policy.watch);
  closers.add('policy', () => policy.close());
  const activated = () => {
    metrics.bundleActivated(policy.revisions, clock.nowMs());
    log.info('policy activated', { ...policy.revisions });
    audit.write({ event: 'activated', members: '', own: { ...policy.revisions } });
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

  const recorder = createRecorder({
    directory: config.record.directory,
    clock,
    onError: (error) => log.error('record', { error }),
  });
  closers.add('record', () => recorder.close());

  const tunnels = new Tunnels(config.limits);
  const gate = new Gate({
    policy,
    audit,
    recorder,
    metrics,
    identity,
    history: createHistory({ clock, windowSeconds: config.history.windowSeconds }),
    clock,
    ids: ulids(clock),
    tunnels,
    limits: config.limits,
  });
  return { policy, audit, identity, recorder, metrics, gate, tunnels };
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
  const { policy, audit, identity, recorder, metrics, gate, tunnels } = services;
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
    close() {
      closing ??= closers.close(log, config.limits.drainTimeoutMs + config.limits.closeTimeoutMs);
      return closing;
    },
  };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function noMaterials(): never {
  throw new Error('a listener without what it was configured with');
}

function addressOf({ host, port }: Listener): Address {
  return { host, port };
}

/** What was started, closed in the opposite order. */
class Closers {
  readonly #closers: { readonly name: string; close(): void | Promise<void> }[] = [];

  add(name: string, close: () => void | Promise<void>): void {
    this.#closers.push({ name, close });
  }

  /** Closes everything, whatever fails or hangs on the way. Never throws; gives up waiting after `patienceMs`. */
  async close(log: Log, patienceMs: number): Promise<void> {
    let impatient: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      impatient = setTimeout(() => {
        log.error('closing took too long; what is left is abandoned', { patienceMs });
        resolve();
      }, patienceMs);
    });
    await Promise.race([this.#closeAll(log), tooLong]);
    clearTimeout(impatient);
  }

  async #closeAll(log: Log): Promise<void> {
    for (const { name, close } of this.#closers.splice(0).toReversed()) {
      try {
        await close();
      } catch (error) {
        log.error('closing failed', { part: name, error: asError(error) });
      }
    }
  }
}
