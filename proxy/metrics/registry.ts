import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { refusalCodes } from '../core/errors.ts';
import type { MetricsPort } from '../core/ports.ts';
import { Children, PendingCounter } from './children.ts';
import { boundLabel } from './labels.ts';

/** Every metric of the gateway, and the page `/metrics` serves. */
export interface Metrics extends MetricsPort {
  /** The Prometheus text exposition format, version 0.0.4. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Samples, at each scrape, the age in seconds of the oldest audit event that is not yet durable. */
  watchAuditLag(seconds: () => number): void;
  /** Samples, at each scrape, how many requests for approval are pending. */
  watchPendingApprovals(count: () => number): void;
  /** Samples, at each scrape, how many audit lines each sink does not have yet. */
  watchAuditSinks(lags: () => readonly { readonly sink: string; readonly lines: number }[]): void;
  /** A delivery of audit lines to a sink failed, and is tried again. */
  auditSinkFailed(sink: string): void;
  /** Samples, at each scrape, how many recordings are still to be uploaded. */
  watchRecordUpload(lag: () => number): void;
  /** An upload of a recording failed, and is tried again. */
  recordUploadFailed(): void;
  /** The revisions in force from now on; the earlier ones disappear from the page. */
  bundleActivated(revisions: { readonly bundle: string; readonly data: string }, nowMs: number): void;
  /** What happened between the gateway and an issuer: `discovered`, `jwks_refreshed`, `jwks_failed`, … */
  identityEvent(issuer: string, event: string): void;
}

/** From 10 µs, a cached decision, to 10 s, a slow query. Seconds. */
const latencyBuckets = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
  1, 2.5, 5, 10,
];

/** From a look into the store to the longest wait for a person. Seconds. */
const waitBuckets = [0.01, 0.1, 1, 5, 15, 30, 60, 120, 300, 600];

/**
 * A registry of its own, so that two gateways in one process do not share counts. Label values are
 * bounded; no label ever holds a subject, a statement or a value.
 *
 * @param options.process - also export Node's own metrics (memory, event loop lag); on by default.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function createMetrics(options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const pending: PendingCounter[] = [];
  let lagSource = (): number => 0;
  let pendingSource = (): number => 0;
  let sinkLags: Parameters<Metrics['watchAuditSinks']>[0] = () => [];
  let uploadLag = (): number => 0;
  const counter = (name: string, help: string, labelNames: string[]): Counter =>
    new Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[], buckets = latencyBuckets): Histogram =>
    new Histogram({ name, help, labelNames, registers, buckets });
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  const child = (parent: Counter, labels: Readonly<Record<string, string>>): PendingCounter => {
    const made = new PendingCounter(parent, labels);
    pending.push(made);
    return made;
  };

  const decisions = counter(
    'sallyport_decisions_total',
    'Decisions by protocol, effect and the policy that gave the first reason.',
    ['protocol', 'effect', 'policy'],
  );
  const refusals = counter('sallyport_refusals_total', 'Refusals told to clients, by code.', ['protocol', 'code']);
  const maskedCells = counter('sallyport_masked_cells_total', 'Values masked on their way to a client.', ['protocol']);
  const decisionSeconds = histogram('sallyport_decision_seconds', 'From a classified operation to its decision.', [
    'protocol',
  ]);
  const upstreamSeconds = histogram('sallyport_upstream_seconds', 'From a permit to the end of what it permitted.', [
    'protocol',
  ]);
  const sessions = gauge('sallyport_sessions_active', 'Sessions open now.', ['protocol']);
  const sessionsOpened = counter('sallyport_sessions_total', 'Sessions opened.', ['protocol']);
  const auditLag = gauge('sallyport_audit_lag_seconds', 'Age of the oldest audit event that is not yet durable.');
  const sinkLag = gauge('sallyport_audit_sink_lag_lines', 'Audit lines that a sink does not have yet.', ['sink']);
  const sinkFailures = counter('sallyport_audit_sink_failures_total', 'Deliveries to an audit sink that failed.', [
    'sink',
  ]);
  const uploadPending = gauge('sallyport_record_upload_pending', 'Recordings that are still to be uploaded.');
  const uploadFailures = counter('sallyport_record_upload_failures_total', 'Uploads of a recording that failed.', []);
  const bundleInfo = gauge('sallyport_bundle_info', 'Always 1; the labels name the revisions in force.', [
    'bundle',
    'data',
  ]);
  const bundleActivated = gauge(
    'sallyport_bundle_activated_timestamp_seconds',
    'When the policy in force was activated.',
  );
  const approvals = counter('sallyport_approvals_total', 'Requests for approval, by what became of them.', ['state']);
  const approvalsPending = gauge('sallyport_approvals_pending', 'Requests that wait for an approver.');
  const approvalWaitSeconds = histogram(
    'sallyport_approval_wait_seconds',
    'How long operations that need an approval took to be answered.',
    ['protocol'],
    waitBuckets,
  );
  const identityEvents = counter('sallyport_identity_events_total', 'Discovery and key set events, by issuer.', [
    'issuer',
    'event',
  ]);
  if (options.process !== false) collectDefaultMetrics({ register: registry });

  const protocol = boundLabel();
  const policy = boundLabel();
  const effect = boundLabel(['allow', 'deny', 'require_approval', 'refuse'], 4);
  const code = boundLabel(Object.keys(refusalCodes));
  const issuer = boundLabel();
  const event = boundLabel();
  const state = boundLabel();
  const decisionChildren = new Children<PendingCounter>();
  const refusalChildren = new Children<PendingCounter>();
  const identityChildren = new Children<PendingCounter>();
  const byProtocol = <Child>(make: (bounded: string) => Child): ((name: string) => Child) => {
    const children = new Children<Child>();
    return (name) => {
      const bounded = protocol(name);
      return children.get(bounded, '', '', () => make(bounded));
    };
  };
  const sessionsOf = byProtocol((name) => ({
    active: sessions.labels(name),
    opened: child(sessionsOpened, { protocol: name }),
  }));

  return {
    decision(protocolName, effectName, policyName) {
      const labels = { protocol: protocol(protocolName), effect: effect(effectName), policy: policy(policyName) };
      return decisionChildren.get(labels.protocol, labels.effect, labels.policy, () => child(decisions, labels));
    },
    refusal(protocolName, codeName) {
      const labels = { protocol: protocol(protocolName), code: code(codeName) };
      refusalChildren.get(labels.protocol, labels.code, '', () => child(refusals, labels)).inc();
    },
    decisionSeconds: byProtocol((name) => decisionSeconds.labels(name)),
    upstreamSeconds: byProtocol((name) => upstreamSeconds.labels(name)),
    maskedCells: byProtocol((name) => child(maskedCells, { protocol: name })),
    sessionOpened(protocolName) {
      const { active, opened } = sessionsOf(protocolName);
      active.inc();
      opened.inc();
    },
    sessionClosed: (protocolName) => sessionsOf(protocolName).active.dec(),
    approval: (stateName) => approvals.labels(state(stateName)).inc(),
    approvalWaitSeconds: byProtocol((name) => approvalWaitSeconds.labels(name)),
    watchPendingApprovals(count) {
      pendingSource = count;
    },
    watchAuditLag(seconds) {
      lagSource = seconds;
    },
    watchAuditSinks(lags) {
      sinkLags = lags;
    },
    // Sinks are named in the configuration, which bounds them.
    auditSinkFailed: (sink) => sinkFailures.inc({ sink }),
    watchRecordUpload(lag) {
      uploadLag = lag;
    },
    recordUploadFailed: () => uploadFailures.inc(),
    bundleActivated(revisions, nowMs) {
      bundleInfo.reset();
      bundleInfo.set({ bundle: revisions.bundle, data: revisions.data }, 1);
      bundleActivated.set(nowMs / 1000);
    },
    identityEvent(issuerName, eventName) {
      const labels = { issuer: issuer(issuerName), event: event(eventName) };
      identityChildren.get(labels.issuer, labels.event, '', () => child(identityEvents, labels)).inc();
    },
    contentType: registry.contentType,
    async text() {
      for (const counted of pending) counted.flush();
      auditLag.set(lagSource());
      approvalsPending.set(pendingSource());
      for (const { sink, lines } of sinkLags()) sinkLag.set({ sink }, lines);
      uploadPending.set(uploadLag());
      return await registry.metrics();
    },
  };
}
