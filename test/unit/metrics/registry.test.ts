import { describe, expect, test } from '@jest/globals';
import { refusalCodes } from '../../../proxy/core/errors.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createMetrics } from '../../../proxy/metrics/registry.ts';

const sample = async (metrics: { text(): Promise<string> }, series: string): Promise<string | undefined> =>
  (await metrics.text())
    .split('\n')
    .find((line) => line.startsWith(`${series} `))
    ?.slice(series.length + 1);

describe('the registry', () => {
  test('counts decisions by protocol, effect and policy', async () => {
    const metrics = createMetrics({ process: false });
    const allowed = metrics.decision('postgres', 'allow', 'pii');
    allowed.inc();
    allowed.inc();
    metrics.decision('postgres', 'deny', '').inc();
    expect(await sample(metrics, 'sallyport_decisions_total{protocol="postgres",effect="allow",policy="pii"}')).toBe(
      '2',
    );
    expect(await sample(metrics, 'sallyport_decisions_total{protocol="postgres",effect="deny",policy="none"}')).toBe(
      '1',
    );
  });

  test('hands out the same child for the same labels, and keeps counting across scrapes', async () => {
    const metrics = createMetrics({ process: false });
    const child = metrics.decision('postgres', 'allow', 'pii');
    child.inc();
    await metrics.text();
    metrics.decision('postgres', 'allow', 'pii').inc();
    expect(metrics.decision('postgres', 'allow', 'pii')).toBe(child);
    expect(await sample(metrics, 'sallyport_decisions_total{protocol="postgres",effect="allow",policy="pii"}')).toBe(
      '2',
    );
  });

  test('tells decisions apart whose label values joined would be equal', async () => {
    const metrics = createMetrics({ process: false });
    expect(metrics.decision('a', 'allow', 'b:c')).not.toBe(metrics.decision('a:b', 'allow', 'c'));
  });

  test('counts refusals by code', async () => {
    const metrics = createMetrics({ process: false });
    metrics.refusal('postgres', 'credential_expired');
    metrics.refusal('postgres', 'pii_range_scan');
    expect(await sample(metrics, 'sallyport_refusals_total{protocol="postgres",code="credential_expired"}')).toBe('1');
    expect(await sample(metrics, 'sallyport_refusals_total{protocol="postgres",code="pii_range_scan"}')).toBe('1');
  });

  test('counts what no label may hold as other', async () => {
    const metrics = createMetrics({ process: false });
    metrics.refusal('postgres', "x' OR email = 'ana@example.com");
    metrics.refusal('postgres', 'a'.repeat(129));
    expect(await sample(metrics, 'sallyport_refusals_total{protocol="postgres",code="other"}')).toBe('2');
    expect(await metrics.text()).not.toContain('ana@example.com');
  });

  test('bounds the values of a label, and never crowds the gateway’s own codes out', async () => {
    const metrics = createMetrics({ process: false });
    for (let number = 0; number < limits.metricLabelValuesMax + 50; number++)
      metrics.refusal('postgres', `code_${number}`);
    for (const code of Object.keys(refusalCodes)) metrics.refusal('postgres', code);
    expect(await sample(metrics, 'sallyport_refusals_total{protocol="postgres",code="other"}')).toBe('50');
    for (const code of Object.keys(refusalCodes)) {
      expect(await sample(metrics, `sallyport_refusals_total{protocol="postgres",code="${code}"}`)).toBe('1');
    }
  });

  test('measures decisions and upstreams from 10 µs on', async () => {
    const metrics = createMetrics({ process: false });
    metrics.decisionSeconds('postgres').observe(0.000_009);
    metrics.upstreamSeconds('postgres').observe(0.3);
    expect(await sample(metrics, 'sallyport_decision_seconds_bucket{le="0.00001",protocol="postgres"}')).toBe('1');
    expect(await sample(metrics, 'sallyport_upstream_seconds_bucket{le="0.25",protocol="postgres"}')).toBe('0');
    expect(await sample(metrics, 'sallyport_upstream_seconds_bucket{le="0.5",protocol="postgres"}')).toBe('1');
  });

  test('follows sessions up and down', async () => {
    const metrics = createMetrics({ process: false });
    metrics.sessionOpened('postgres');
    metrics.sessionOpened('postgres');
    metrics.sessionClosed('postgres');
    expect(await sample(metrics, 'sallyport_sessions_active{protocol="postgres"}')).toBe('1');
    expect(await sample(metrics, 'sallyport_sessions_total{protocol="postgres"}')).toBe('2');
  });

  test('sums masked cells and drops what no counter can take', async () => {
    const metrics = createMetrics({ process: false });
    metrics.maskedCells('postgres').inc(40);
    for (const broken of [-1, Number.NaN, Number.POSITIVE_INFINITY]) metrics.maskedCells('postgres').inc(broken);
    metrics.maskedCells('postgres').inc(2);
    expect(await sample(metrics, 'sallyport_masked_cells_total{protocol="postgres"}')).toBe('42');
  });

  test('shows one bundle, the one in force, and when it was activated', async () => {
    const metrics = createMetrics({ process: false });
    metrics.bundleActivated({ bundle: 'b1', data: 'd1' }, 1_000);
    metrics.bundleActivated({ bundle: 'b2', data: 'd1' }, 5_000);
    const page = await metrics.text();
    expect(page).toContain('sallyport_bundle_info{bundle="b2",data="d1"} 1');
    expect(page).not.toContain('bundle="b1"');
    expect(page).toContain('sallyport_bundle_activated_timestamp_seconds 5');
  });

  test('samples the audit lag at each scrape', async () => {
    const metrics = createMetrics({ process: false });
    let seconds = 0.25;
    metrics.watchAuditLag(() => seconds);
    expect(await sample(metrics, 'sallyport_audit_lag_seconds')).toBe('0.25');
    seconds = 3;
    expect(await sample(metrics, 'sallyport_audit_lag_seconds')).toBe('3');
  });

  test('counts identity events by issuer', async () => {
    const metrics = createMetrics({ process: false });
    metrics.identityEvent('https://idp.example', 'jwks_failed');
    expect(
      await sample(metrics, 'sallyport_identity_events_total{issuer="https://idp.example",event="jwks_failed"}'),
    ).toBe('1');
  });

  test('keeps two gateways in one process apart', async () => {
    const one = createMetrics({ process: false });
    const other = createMetrics({ process: false });
    one.sessionOpened('postgres');
    expect(await other.text()).not.toContain('sallyport_sessions_active{');
  });

  test('exports the process too', async () => {
    expect(await createMetrics().text()).toContain('process_resident_memory_bytes');
  });
});
