import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { verifyAudit } from '../../proxy/audit/index.ts';
import { loadConfig } from '../../proxy/config.ts';
import { checkGateway, startGateway } from '../../proxy/main.ts';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { makeCertificates } from '../support/tls.ts';

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const running: TestGateway[] = [];
async function start(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const gateway = await startTestGateway({ postgres, ...options });
  running.push(gateway);
  return gateway;
}
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

async function readiness(gateway: TestGateway): Promise<{ status: number; failing: unknown }> {
  const response = await fetch(`${gateway.admin.url}/readyz`);
  const body: unknown = await response.json();
  return { status: response.status, failing: Object(body).failing };
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return await new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

describe('starting', () => {
  test('a gateway is ready when everything it stands on is', async () => {
    expect(await readiness(await start())).toEqual({ status: 200, failing: [] });
  });

  test('an issuer that cannot be reached leaves it running and not ready', async () => {
    const issuers = [{ issuer: 'http://127.0.0.1:1', audience: 'x', allow_insecure_http: true }];
    const gateway = await start({ config: { identity: { issuers } } });
    expect(await readiness(gateway)).toEqual({ status: 503, failing: ['identity'] });
  });

  test('the activated revisions are in the trail and in the metrics', async () => {
    const gateway = await start();
    const events = await gateway.audit();
    const activated = events.find(({ event }) => event === 'activated');
    expect(activated?.bundle).toMatch(/./);
    expect(await gateway.metrics()).toContain(
      `sallyport_bundle_info{bundle="${String(activated?.bundle)}",data="${String(activated?.data)}"} 1`,
    );
  });

  test.each([
    ['a listener whose port is taken', 'listeners', 'EADDRINUSE'],
    ['a bundle that is none', 'bundle', 'bundle'],
    ['a certificate that does not belong to its key', 'certificate', 'do not belong together'],
    ['a secret that is not there', 'secret', 'audit.key'],
  ])('fails as a whole, leaving nothing behind: %s', async (_title, what, message) => {
    const gateway = await start();
    const { files, port } = gateway;
    await gateway.gateway.close();
    const config = await readFile(files.configFile, 'utf8');
    const taken = what === 'listeners' ? await start() : undefined;
    if (taken !== undefined)
      await writeFile(
        files.configFile,
        config.replace('listen: 127.0.0.1:0\n    tls', `listen: 127.0.0.1:${taken.port}\n    tls`),
      );
    if (what === 'bundle') await writeFile(files.bundleFile, 'not a bundle');
    if (what === 'certificate') await writeFile(files.certificateFile, (await makeCertificates()).server.certificate);
    if (what === 'secret')
      await writeFile(files.configFile, config.replace('file:./keys/audit', 'env:SALLYPORT_NOT_SET'));
    await expect(loadConfig(files.configFile).then((loaded) => startGateway(loaded))).rejects.toThrow(message);
    expect(await isOpen(port)).toBe(false);
    // The lock of the trail was given back: the repaired gateway starts.
    if (what === 'listeners' || what === 'secret') {
      await writeFile(files.configFile, config);
      const repaired = await startGateway(await loadConfig(files.configFile));
      await repaired.close();
    }
  });

  test('check says what serve would, without opening anything', async () => {
    const { files, gateway } = await start();
    const config = await loadConfig(files.configFile);
    expect((await checkGateway(config)).bundle).toMatch(/./);
    await writeFile(files.dataFile, '{"modes": 5}');
    await expect(checkGateway(config)).rejects.toThrow();
    expect(gateway.readiness.ready).toBe(true);
  });
});

describe('reloading', () => {
  test('activates changed data, and says so in the trail', async () => {
    const gateway = await start({ config: { policy: { watch: false } } });
    const data: unknown = JSON.parse(await readFile(gateway.files.dataFile, 'utf8'));
    await writeFile(gateway.files.dataFile, JSON.stringify({ ...Object(data), revision: 'second' }));
    await gateway.reload();
    const activations = (await gateway.audit()).filter(({ event }) => event === 'activated');
    expect(activations.map(({ data: revision }) => String(revision).startsWith('second'))).toEqual([false, true]);
  });

  test('with something that cannot be activated changes nothing', async () => {
    const gateway = await start({ config: { policy: { watch: false } } });
    const before = await gateway.metrics();
    await writeFile(gateway.files.bundleFile, 'not a bundle');
    await expect(gateway.reload()).rejects.toThrow();
    const [info] = /sallyport_bundle_info\{[^}]*\} 1/.exec(before) ?? [];
    expect(await gateway.metrics()).toContain(info);
    expect(await readiness(gateway)).toEqual({ status: 200, failing: [] });
  });

  test('serves a renewed certificate to the next connection', async () => {
    const gateway = await start();
    const renewed = await makeCertificates();
    await writeFile(gateway.files.certificateFile, renewed.server.certificate);
    await writeFile(gateway.files.keyFile, renewed.server.key, { mode: 0o600 });
    await expect(handshake(gateway.port, renewed.ca)).rejects.toThrow();
    await gateway.reload();
    await handshake(gateway.port, renewed.ca);
  });
});

/** Direct TLS, as PostgreSQL 17's clients can; verified with the given CA. */
async function handshake(port: number, ca: string): Promise<void> {
  const socket = connectTls({ port, host: '127.0.0.1', ca, ALPNProtocols: ['postgresql'] });
  await once(socket, 'secureConnect').finally(() => socket.destroy());
}

describe('stopping', () => {
  test('tells a session why it ends, in the protocol’s words', async () => {
    const gateway = await start();
    const client = new pg.Client(await gateway.client());
    const told = new Promise<Error>((resolve) => client.on('error', resolve));
    await client.connect();
    await gateway.gateway.close();
    expect(await told).toMatchObject({ severity: 'FATAL', code: '57P01' });
    const closed = (await gateway.audit()).filter(({ event }) => event === 'closed');
    expect(closed.length).toBeGreaterThan(0);
  });

  test('closes its ports, and ends a trail that verifies', async () => {
    const gateway = await start();
    await gateway.gateway.close();
    await gateway.gateway.close();
    expect([await isOpen(gateway.port), await isOpen(gateway.admin.port)]).toEqual([false, false]);
    expect(await verifyAudit([gateway.auditFile], { key: gateway.key })).toMatchObject({ ok: true, closed: true });
  });

  test('does not wait for ever for a client that never ends its login', async () => {
    const gateway = await start({ limits: { drain_timeout_ms: 1 } });
    const silent = connect(gateway.port, '127.0.0.1');
    silent.on('error', () => {});
    await once(silent, 'connect');
    await gateway.gateway.close();
    expect(await isOpen(gateway.port)).toBe(false);
    silent.destroy();
  });
});
