/** What was masked is in no answer of the console, live or afterwards, and in no file of approvals. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordingKey } from '../../proxy/record/index.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { nextRequest, vote } from '../support/approvals.ts';
import { consoleAudience, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { findsOf } from '../support/markers.ts';
import { type Trace, tracesOf } from '../support/traces.ts';

const secret = 'm'.repeat(40);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-masked-console-'));
writeFileSync(join(directory, 'record'), secret, { mode: 0o600 });

let gateway: TestGateway;
let token: string;
let ask: ApiClient;
beforeAll(async () => {
  const held = { groups: ['dba'], mode: 'wait', wait_seconds: 60 };
  gateway = await startTestGateway({
    console: {},
    config: { record: { key: `file:${join(directory, 'record')}` } },
    data: { sql: { approve: { delete: held, update: { ...held, mode: 'return' } } } },
  });
  token = await gateway.token('vera', { groups: ['staff'], audience: consoleAudience });
  ask = await apiClient(gateway.gateway.console ?? '', token);
}, 60_000);
afterAll(async () => {
  await gateway?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** An answer, with what is base64 in it as it reads. */
async function answer(path: string): Promise<Trace> {
  const { status, body } = await ask('GET', path);
  expect({ path, status }).toEqual({ path, status: 200 });
  return [path, Buffer.from(JSON.stringify(body))];
}

test('a masked value that held statements name is in no answer of the console and in no store', async () => {
  const rows = await gateway.sql('SELECT email, ssn FROM public.customers ORDER BY id LIMIT 4');
  const markers = rows.flatMap(({ email, ssn }) => [String(email), String(ssn)]);
  const [literal, bound, denied, returned] = rows.map(({ email }) => String(email));
  const desk = gateway.gateway.approvals;
  const client = await gateway.connect({ token: await gateway.token('curious') });

  const { body: open } = await ask('GET', '/api/sessions');
  const { id } = open.sessions.find(({ subject }: { subject: { id: string } }) => subject.id === 'curious');
  const live = await fetch(`${gateway.gateway.console}/api/sessions/${id}/live`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const watched = live.text();
  const traces: Trace[] = [await answer('/api/sessions')];

  /** Runs a statement that somebody has to say a word on. */
  const hold = async (verdict: 'approve' | 'deny', sql: string, values: unknown[] = []) => {
    const asked = nextRequest(desk);
    const running = client.query(sql, values).catch((error: Error) => error);
    const first = await Promise.race([asked, running]);
    if (!('digest' in first)) throw new Error(`not held: ${sql}`, { cause: first });
    const { id: approval } = first;
    traces.push(await answer('/api/approvals?state=pending'), await answer(`/api/approvals/${approval}`));
    await vote(desk, approval, { verdict });
    traces.push(await answer(`/api/approvals/${approval}`));
    await running;
  };
  await client.query('SELECT id, email, ssn FROM public.customers');
  const notes = 'FROM scratch.notes WHERE id IN (SELECT id FROM public.customers WHERE email';
  await hold('approve', `DELETE ${notes} = '${literal}')`);
  await hold('approve', `DELETE ${notes} = $1)`, [bound]);
  await hold('deny', `DELETE ${notes} IN ('${denied}', '${literal}'))`);
  const whose = `id IN (SELECT id FROM public.customers WHERE email = '${returned}')`;
  await client.query(`UPDATE scratch.notes SET note = 'x' WHERE ${whose}`).catch(() => {});
  await client.query(`UPDATE public.customers SET email = '${returned}' WHERE id = 1`).catch(() => {});
  await client.query(`SELECT id FROM public.customers WHERE ssn > '${markers[1]}'`).catch(() => {});
  await client.end();
  const stream = await watched;
  expect(stream).toContain('public.customers');
  const frames = [...stream.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => Object(JSON.parse(json)));
  const bytes = frames.filter(({ base64 }) => base64 === true).map(({ data }) => Buffer.from(data, 'base64'));
  expect(bytes.length).toBeGreaterThan(0);
  traces.push(['live', Buffer.from(stream)], ['live bytes', Buffer.concat(bytes)]);

  const { body: all } = await ask('GET', '/api/approvals');
  // The first three, and the one that was refused as pending: with their text, but for the values.
  const texts = all.approvals.map(({ operation }: { operation: { text: string } }) => operation.text);
  expect(texts).toHaveLength(4);
  for (const text of texts) expect(text).toMatch(/scratch\.notes.*public\.customers/);
  traces.push(await answer('/api/approvals'), await answer('/api/decisions?limit=200&own=include'));
  traces.push(await answer('/api/recordings?subject=curious'));
  const { body: found } = await ask('GET', '/api/recordings?resource=public.customers&own=include');
  expect(found.recordings.map((one: { id: string }) => one.id)).toContain(id);
  for (const one of found.recordings) traces.push(await answer(`/api/recordings/${one.id}`));
  const replay = Object(JSON.parse(String((await answer(`/api/recordings/${id}`))[1])));
  expect(replay.frames.at(-1).kind).toBe('end');

  traces.push(['metrics', Buffer.from(await gateway.metrics())]);
  await gateway.gateway.close();
  const beside = dirname(gateway.recordDir);
  const stores = readdirSync(beside).filter((name) => name.startsWith('sallyport.db'));
  expect(existsSync(join(beside, 'sallyport.db'))).toBe(true);
  for (const name of stores) traces.push([name, readFileSync(join(beside, name))]);
  traces.push(['log', Buffer.from(gateway.log.join(''))]);
  traces.push(...(await tracesOf(gateway.files, [recordingKey(Buffer.from(secret))])));
  const places = traces.flatMap(([where, content]) => findsOf(markers, content).map((value) => `${where}: ${value}`));
  expect(places).toEqual([]);
}, 60_000);
