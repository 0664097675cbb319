/** Recordings in a bucket, through an outage of it and the death of the gateway. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { type RecordingEntry, RecordingIndex, readRecording, recordingKey } from '../../proxy/record/index.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { S3Server } from '../support/s3.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-upload-test-'));
const recordSecret = 'r'.repeat(40);
let server: S3Server;
let prepared: TestGateway;
let gateway: GatewayProcess | undefined;

beforeAll(async () => {
  server = await S3Server.prepare(directory);
  const { endpoint, bucket, accessKeyId, secretAccessKey } = server;
  const secret = (name: string, content: string) => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return `file:${join(directory, name)}`;
  };
  prepared = await startTestGateway({
    config: {
      record: {
        key: secret('record', recordSecret),
        upload: {
          ...{ endpoint, bucket, region: 'us-east-1', prefix: 'gateway-1' },
          access_key_id: secret('id', accessKeyId),
          secret_access_key: secret('secret', `${secretAccessKey}\n`),
        },
      },
    },
  });
  await prepared.gateway.close();
}, 60_000);

afterAll(async () => {
  gateway?.kill('SIGKILL');
  await prepared?.stop();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A whole session. */
async function converse(port: number): Promise<void> {
  const client = new pg.Client({ ...(await prepared.client({ token: await prepared.token('agent') })), port });
  await client.connect();
  const { rows } = await client.query('SELECT id FROM customers');
  expect(rows.length).toBeGreaterThan(0);
  await client.end();
}

/** Sessions of ours that ended, as the index has them. */
function ended(): RecordingEntry[] {
  const found = new RecordingIndex(prepared.recordDir, () => {}).query({ resource: 'public.customers' });
  return found.filter(({ outcome }) => outcome !== 'open');
}

async function metricsOf({ admin }: GatewayProcess): Promise<string> {
  return await (await fetch(`${admin}/metrics`)).text();
}

/** What the bucket has of a recording, once the index says that it is there: before, a part of it may be. */
async function stored({ session, file }: RecordingEntry): Promise<Buffer> {
  const uploaded = () => ended().some((entry) => entry.session === session && entry.uploaded_at !== undefined);
  while (!uploaded()) if (gateway !== undefined) await metricsOf(gateway);
  const content = await server.get(`gateway-1/${file}`);
  if (content === undefined) throw new Error(`${file} is not in the bucket`);
  return content;
}

test('sessions do not notice an outage, and what it left is uploaded after a kill and a restart', async () => {
  gateway = await startGatewayProcess(prepared.files);
  await converse(gateway.port);
  await gateway.said('"message":"record upload"');
  await converse(gateway.port);
  while (ended().length < 2) await metricsOf(gateway);
  const metrics = await metricsOf(gateway);
  // Sessions of the gateway's own, which read the catalog, are recorded too.
  expect(metrics).toMatch(/^sallyport_record_upload_pending [2-9]$/m);
  expect(metrics).toMatch(/^sallyport_record_upload_failures_total [1-9]/m);
  gateway.kill('SIGKILL');
  await gateway.exit;

  await server.start();
  gateway = await startGatewayProcess(prepared.files);
  await converse(gateway.port);
  while (ended().length < 3) await metricsOf(gateway);
  for (const entry of ended()) {
    expect((await stored(entry)).equals(readFileSync(join(prepared.recordDir, entry.file)))).toBe(true);
  }
  expect(await metricsOf(gateway)).toContain('sallyport_record_upload_failures_total 0');
}, 60_000);

test('what is in the bucket is a recording that the key opens, and nobody else reads', async () => {
  expect(ended()).toHaveLength(3);
  for (const entry of ended()) {
    const content = await stored(entry);
    expect(content.includes('SELECT id FROM customers')).toBe(false);
    const file = join(directory, 'downloaded.sprec');
    writeFileSync(file, content);
    const kinds: string[] = [];
    for await (const { kind } of readRecording(file, [recordingKey(Buffer.from(recordSecret))])) kinds.push(kind);
    expect(kinds).toEqual(expect.arrayContaining(['statement', 'rows', 'end']));
  }
});
