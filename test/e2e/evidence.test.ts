/** What the gateway leaves behind: signed, encrypted, delivered, exported, and without what was masked. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readPublicKey, verifyAudit } from '../../proxy/audit/index.ts';
import { run as audit } from '../../proxy/cli/audit.ts';
import { run as evidence } from '../../proxy/cli/evidence.ts';
import { run as replay } from '../../proxy/cli/replay.ts';
import { recordingKey } from '../../proxy/record/index.ts';
import { nextRequest, vote } from '../support/approvals.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { findsOf } from '../support/markers.ts';
import { tracesOf } from '../support/traces.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-evidence-test-'));
const publicKeyFile = join(directory, 'public.pem');
const delivered: Buffer[] = [];
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  delivered.push(gunzipSync(Buffer.concat(chunks)));
  response.end();
});

let gateway: TestGateway;
let personal: readonly string[] = [];
let metrics = '';
let session = '';

async function cli(command: typeof audit, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const stdout = { write: (text: string) => (out += text) };
  const stderr = { write: (text: string) => (err += text) };
  return { code: await command(args, { stdout, stderr, env: {} }), out, err };
}

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(directory, 'signing.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(directory, 'record'), 'r'.repeat(40), { mode: 0o600 });
  writeFileSync(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs`;
  gateway = await startTestGateway({
    data: { sql: { approve: { delete: { groups: ['dba'], mode: 'wait', wait_seconds: 60 } } } },
    config: {
      audit: {
        signing_key: `file:${join(directory, 'signing.pem')}`,
        sinks: [{ type: 'opa', name: 'opa', url, required: true }],
      },
      record: { key: `file:${join(directory, 'record')}` },
    },
  });
  const rows = await gateway.sql('SELECT email, ssn FROM customers');
  personal = rows.flatMap(({ email, ssn }) => [String(email), String(ssn)]);
  const client = await gateway.connect();
  const { rows: seen } = await client.query('SELECT id, email, ssn FROM customers ORDER BY id');
  expect(seen).toHaveLength(rows.length);
  expect(findsOf(personal, Buffer.from(JSON.stringify(seen)))).toEqual([]);
  // One that looks a masked column up by its value, and one that is refused.
  await client.query('SELECT id FROM customers WHERE email = $1', [rows[0]?.email]).catch(() => {});
  await client.query(`SELECT id FROM customers WHERE ssn > '${String(rows[0]?.ssn)}'`).catch(() => {});
  // One that somebody lets through, and that names a masked value.
  const asked = nextRequest(gateway.gateway.approvals);
  const held = client.query(
    `DELETE FROM scratch.notes WHERE id IN (SELECT id FROM customers WHERE email = '${String(rows[0]?.email)}')`,
  );
  await vote(gateway.gateway.approvals, (await asked).id);
  await held;
  await client.end();
  const [opened] = (await gateway.audit()).filter(({ event, action }) => event === 'decided' && action === 'connect');
  session = String(opened?.session);
  metrics = await gateway.metrics();
  await gateway.gateway.close();
}, 60_000);

afterAll(async () => {
  await gateway?.stop();
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

test('the trail verifies with the public key alone, to its last line', async () => {
  const publicKeys = [readPublicKey(readFileSync(publicKeyFile, 'utf8'))];
  expect(await verifyAudit([gateway.auditFile], { publicKeys })).toMatchObject({
    ok: true,
    closed: true,
    unsignedLines: 0,
  });
  const { code, out } = await cli(audit, 'verify', '--file', gateway.auditFile, '--public-key', publicKeyFile);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^verified/) });
});

test('the sink has every line', () => {
  const lines = delivered.flatMap((body) => JSON.parse(body.toString()).map((one: { custom: unknown }) => one.custom));
  const seqs = lines.map((custom) => Object(Object(custom).sallyport).seq);
  const inFile = readFileSync(gateway.auditFile, 'utf8').trimEnd().split('\n').length;
  expect([...new Set(seqs)]).toEqual(Array.from({ length: inFile }, (_, index) => index + 1));
});

test('the session is found by what it touched, and replayed with the key', async () => {
  const configured = ['--config', gateway.files.configFile];
  const { out } = await cli(replay, '--list', ...configured, '--resource', 'public.customers', '--label', 'pii');
  expect(out).toContain(session);
  const shown = await cli(replay, session, ...configured);
  expect(shown.code).toBe(0);
  expect(shown.out).toContain('> SELECT id, email, ssn FROM customers');
});

test('one archive is exported, verifies with the public key, and does not when a byte of it was changed', async () => {
  const archive = join(directory, 'evidence.tar');
  const range = ['--from', '1h', '--to', new Date(Date.now() + 60_000).toISOString()];
  const made = await cli(evidence, 'export', '--config', gateway.files.configFile, ...range, '--out', archive);
  expect(made).toMatchObject({ code: 0, err: '' });
  const verified = await cli(evidence, 'verify', archive, '--public-key', publicKeyFile);
  expect(verified).toMatchObject({ code: 0, out: expect.stringMatching(/verified {6}every part/) });
  // Every recording is bound to the trail.
  expect(verified.out).not.toContain('note');
  const bytes = readFileSync(archive);
  const [row = '{}'] = /\{"approval":[^\n]*"request":[^\n]*/.exec(bytes.toString('utf8')) ?? [];
  expect(JSON.parse(row)).toMatchObject({
    state: 'used',
    request: { action: 'delete', operation: { text: expect.stringMatching(/scratch\.notes.*hmac:/) } },
    votes: [{ approver: { id: 'ana' }, verdict: 'approve', reason: 'looked at it', client_address: '127.0.0.1' }],
    uses: [{ decided: expect.any(Number), outcome: { status: 'ok' } }],
  });
  const place = bytes.indexOf('"event":"decided"');
  bytes[place] = 0x20;
  writeFileSync(archive, bytes);
  expect((await cli(evidence, 'verify', archive, '--public-key', publicKeyFile)).code).toBe(1);
});

test('what was masked is nowhere: not in the trail, recordings, index, sink, log, metrics or archive, in any form', async () => {
  const kept = [
    ...(await tracesOf(gateway.files, [recordingKey(readFileSync(join(directory, 'record')))])),
    ['log', Buffer.from(gateway.log.join(''))],
    ['metrics', Buffer.from(metrics)],
    ['sink', Buffer.concat(delivered)],
    ['archive', readFileSync(join(directory, 'evidence.tar'))],
  ] as const;
  expect(kept.length).toBeGreaterThan(10);
  expect(kept.flatMap(([where, bytes]) => findsOf(personal, bytes).map((found) => `${where}: ${found}`))).toEqual([]);
  // The search itself finds what is there.
  const canary = personal.slice(0, 1);
  const forms = (['utf8', 'base64', 'base64url', 'hex'] as const).map((form) =>
    Buffer.from(`x${canary[0]}yy`).toString(form),
  );
  for (const form of forms) {
    for (const planted of [
      Buffer.from(form),
      Buffer.concat([Buffer.from('..'), gzipSync(form), Buffer.from('behind')]),
    ]) {
      expect({ form, found: findsOf(canary, planted).length > 0 }).toEqual({ form, found: true });
    }
  }
});
