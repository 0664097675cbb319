import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import {
  closed,
  message,
  refused,
  startWebSocketGateway,
  type WebSocketGateway,
} from '../support/websocket-gateway.ts';

const secret = `ghp_${'a1B2'.repeat(9)}`;

let stage: WebSocketGateway;
beforeAll(async () => {
  stage = await startWebSocketGateway();
});
afterAll(() => stage?.stop());

/** Waits for an event of the trail, which is written a moment later than what it is about. */
async function audited(wanted: JsonObject): Promise<void> {
  const names = Object.keys(wanted);
  const deadline = AbortSignal.timeout(10_000);
  while (!deadline.aborted) {
    const events = await stage.gateway.audit();
    if (events.some((event) => names.every((name) => event[name] === wanted[name]))) return;
  }
  expect(await stage.gateway.audit()).toContainEqual(expect.objectContaining(wanted));
}

describe.each(['/plain', '/judged', '/masked'])('over %s', (path) => {
  test('texts go both ways as they were, up to a large one, and the close is the client’s', async () => {
    const { client, server } = await stage.open(`${path}?since=1`);
    // What policy is asked about has a bound of its own.
    const long = `{"type":"subscribe","a":"${'é'.repeat(path === '/judged' ? 60_000 : 300_000)}"}`;
    for (const sent of ['{"type":"subscribe"}', long]) {
      const arrived = message(server);
      client.send(sent);
      expect(await arrived).toEqual([sent, false]);
      const answered = message(client);
      server.send(sent);
      expect(await answered).toEqual([sent, false]);
    }
    const ends = Promise.all([closed(client), closed(server)]);
    client.close(4_000, path === '/judged' ? '' : 'done');
    const reason = path === '/judged' ? '' : 'done';
    expect(await ends).toEqual([
      [4_000, reason],
      [4_000, reason],
    ]);
    const head = stage.heads.at(-1) ?? [];
    expect(head).toContain('Bearer the-secret');
    expect(head.join()).not.toContain(stage.token);
    expect(head.join().toLowerCase()).not.toContain('extensions');
  });

  test('pings are answered by the other side, with what they asked', async () => {
    const { client, server } = await stage.open(path);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const asked = new Promise((resolve) => to.once('ping', resolve));
      const answered = new Promise<string>((resolve) => from.once('pong', (data) => resolve(data.toString())));
      from.ping('are you there?');
      await asked;
      expect(await answered).toBe('are you there?');
    }
    client.close();
    await closed(server);
  });

  test('a server may close, and one that is gone is said to be', async () => {
    const first = await stage.open(path);
    const ended = closed(first.client);
    first.server.close(4_001, 'over');
    expect(await ended).toEqual([4_001, 'over']);
    const second = await stage.open(path);
    const cut = closed(second.client);
    second.server.terminate();
    expect((await cut)[0]).toBe(path === '/plain' ? 1006 : 1014);
    const third = await stage.open(path);
    const left = closed(third.server);
    third.client.terminate();
    expect((await left)[0]).toBe(path === '/plain' ? 1006 : 1001);
  });
});

test('over a route that nobody looks into binary messages pass', async () => {
  const { client, server } = await stage.open('/plain');
  const arrived = message(server);
  client.send(Buffer.from([1, 2]));
  expect(await arrived).toEqual(['\u0001\u0002', true]);
  client.close();
  await closed(server);
});

test('what a server says at once arrives', async () => {
  const taken = stage.next().then((server) => server.send('at once'));
  const client = stage.ask('/masked');
  expect(await message(client)).toEqual(['at once', false]);
  await taken;
  client.close();
});

describe('what a server says', () => {
  test('is masked in whatever parts it comes, and the rest is as it was', async () => {
    const { client, server } = await stage.open('/masked');
    const got: string[] = [];
    client.on('message', (data) => got.push(String(data)));
    const done = new Promise((resolve) => client.once('ping', resolve));
    const text = `token: ${secret}, then`;
    for (let at = 0; at < text.length; at++) server.send(text[at] ?? '', { fin: at === text.length - 1 });
    server.send(`{"n":1.0,"token":"${secret}"}`);
    server.send('nothing to see');
    server.ping();
    await done;
    expect(got).toEqual(['token: [redacted], then', '{"n":1.0,"token":"[redacted]"}', 'nothing to see']);
    client.close();
    await closed(server);
    await audited({ event: 'completed', status: 'ok', masked_cells: 2 });
  });

  test('is masked by path where it is JSON', async () => {
    const { client, server } = await stage.open('/api/rows');
    const shown = message(client);
    server.send('{"rows":[{"ssn":"078-05-1120"}]}');
    expect(await shown).toEqual(['{"rows":[{"ssn":"***1120"}]}', false]);
    const empty = message(client);
    server.send('');
    expect(await empty).toEqual(['', false]);
    const ends = Promise.all([closed(client), closed(server)]);
    server.send('ssn: 078-05-1120');
    const [[code, reason], [told]] = await ends;
    expect([code, told]).toEqual([1008, 1008]);
    expect(reason).toMatch(/^mask_unprovable \S+$/);
    await audited({ event: 'completed', status: 'aborted', code: 'mask_unprovable' });
  });

  test('ends the connection where it is binary, longer than the bound, or no text', async () => {
    const cases = [
      [Buffer.from(secret), {}, 1008, 1008],
      ['x'.repeat(1024 * 1024 + 1), {}, 1009, 1009],
      [Buffer.from([0xc3, 0x28]), { binary: false }, 1014, 1007],
    ] as const;
    for (const [data, options, client, server] of cases) {
      const pair = await stage.open('/masked');
      const got: unknown[] = [];
      pair.client.on('message', (one) => got.push(one));
      const ends = Promise.all([closed(pair.client), closed(pair.server)]);
      pair.server.send(data, options);
      const [[toClient], [toServer]] = await ends;
      expect([toClient, toServer]).toEqual([client, server]);
      expect(got).toEqual([]);
    }
  });

  test('waits for a client that does not read, and all of it arrives in its order', async () => {
    const { client, server } = await stage.open('/masked');
    client.pause();
    const count = 400;
    const body = 'y'.repeat(100_000);
    for (let n = 0; n < count; n++) server.send(`${n} ${body}`);
    // As much as kernels and the gateway hold has gone; what is left waits at the server, however long it is waited for.
    let unchanged = 0;
    let left = server.bufferedAmount;
    while (unchanged < 20) {
      await stage.gateway.metrics();
      unchanged = server.bufferedAmount === left ? unchanged + 1 : 0;
      left = server.bufferedAmount;
    }
    expect(left).toBeGreaterThan(0);
    const got: number[] = [];
    const all = new Promise<void>((resolve) =>
      client.on('message', (data) => {
        got.push(Number.parseInt(String(data), 10));
        if (got.length === count) resolve();
      }),
    );
    client.resume();
    await all;
    expect(got).toEqual(Array.from({ length: count }, (_, n) => n));
    client.close();
    await closed(server);
  });
});

describe('what a client says', () => {
  test.each([
    ['another kind of message', '{"type":"delete"}', 'message_refused'],
    ['what is no JSON', 'subscribe', 'message_refused'],
    ['what two readers take differently', '{"type":"subscribe","type":"delete"}', 'operation_malformed'],
    ['binary', Buffer.from('{"type":"subscribe"}'), 'message_refused'],
  ])('is refused where policy has it judged: %s', async (_what, sent, code) => {
    const { client, server } = await stage.open('/judged');
    const got: unknown[] = [];
    server.on('message', (data) => got.push(String(data)));
    const ends = Promise.all([closed(client), closed(server)]);
    client.send('{"type":"subscribe"}');
    client.send(sent);
    client.send('{"type":"subscribe"}');
    const [[toClient, reason], [toServer]] = await ends;
    expect([toClient, toServer]).toEqual([1008, 1001]);
    expect(reason.split(' ')[0]).toBe(code);
    expect(got).toEqual(['{"type":"subscribe"}']);
    await audited({ action: 'websocket_message', effect: 'deny', code });
  });

  test('is a decision of its own in the trail, without what it says', async () => {
    const { client, server } = await stage.open('/judged');
    const arrived = message(server);
    client.send(`{"type":"subscribe","token":"${secret}"}`);
    await arrived;
    const decided = (await stage.gateway.audit()).findLast(({ action }) => action === 'websocket_message');
    expect(decided).toMatchObject({ effect: 'allow', resource: { id: 'web /judged' } });
    await audited({ event: 'completed', decision_id: decided?.decision_id ?? '', status: 'ok' });
    client.close();
    await closed(server);
  });
});

test('an upgrade elsewhere, or without a valid token, is refused and nothing arrives', async () => {
  const before = stage.heads.length;
  expect(await refused(stage.ask('/other'))).toBe(403);
  expect(await refused(stage.ask('/plain', 'Bearer x.y.z'))).toBe(401);
  expect(stage.heads).toHaveLength(before);
});

test('a gateway that stops says so to both sides', async () => {
  const stopping = await startWebSocketGateway();
  const { client, server } = await stopping.open('/masked');
  const ends = Promise.all([closed(client), closed(server)]);
  await stopping.stop();
  const [[toClient, reason], [toServer]] = await ends;
  expect([toClient, toServer]).toEqual([1001, 1001]);
  expect(reason).toMatch(/^draining /);
});

test('neither the trail nor a recording holds what was masked or what is a credential', async () => {
  const { recordDirectory, auditFile } = stage.gateway.files;
  const names = (await readdir(recordDirectory, { recursive: true })).filter((name) => name.includes('.'));
  const contents = await Promise.all(
    names.map((name) => readFile(join(recordDirectory, name), 'latin1').catch(() => '')),
  );
  contents.push(await readFile(auditFile, 'utf8'));
  expect(contents.join()).toContain('nothing to see');
  for (const text of [secret, '078-05-1120', stage.token]) expect(contents.join()).not.toContain(text);
});
