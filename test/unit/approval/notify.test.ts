/** Notices, through real HTTP peers and a real store. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Approvals, type Channel, Notifier, Slack, webhook } from '../../../proxy/approval/index.ts';
import type { Approval, ApprovalStore } from '../../../proxy/core/approvals.ts';
import { ulids } from '../../../proxy/core/clock.ts';
import { limits } from '../../../proxy/core/limits.ts';
import type { AuditEvent } from '../../../proxy/core/ports.ts';
import type { JsonObject } from '../../../proxy/core/types.ts';
import { openEmbeddedStore } from '../../../proxy/store/index.ts';
import { anApproval, ana, vote } from '../../support/approvals.ts';

const clock = { ms: Date.parse('2026-11-28T09:00:00Z'), nowMs: () => clock.ms, monotonicMs: () => clock.ms };
const secret = `whsec_${Buffer.from('a key of some length').toString('base64')}`;

interface Received {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let peer: Server;
let url: string;
let received: Received[];
/** What the peer answers next; then 200 again. */
let answers: number[];
/** A path that the peer takes and never answers. */
let silent: string | undefined;
let arrived: () => void;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  received = [];
  answers = [];
  silent = undefined;
  arrived = () => {};
  peer = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      received.push({ url: request.url ?? '', headers: request.headers, body });
      arrived();
      if (request.url === silent) return;
      response.writeHead(answers.shift() ?? 200, { location: '/elsewhere', 'content-type': 'application/json' });
      response.end('{"ok":true}');
    });
  }).listen(0, '127.0.0.1');
  await once(peer, 'listening');
  url = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  peer.closeAllConnections();
  peer.close();
});

function start(channel: Channel): { store: ApprovalStore; desk: Approvals; notifier: Notifier } {
  const store = openEmbeddedStore({ path: ':memory:', gateway: 'g', channels: [channel.name] });
  const desk = new Approvals({
    ...{ store, clock, ids: ulids(clock), gateway: 'g', limits },
    ...{ audit: { append: () => {} }, metrics: { approval: () => {} } },
  });
  const notifier = new Notifier({ store, channels: [channel], clock });
  closers.push(
    () => store.close(),
    () => desk.close(),
    () => notifier.close(),
  );
  return { store, desk, notifier };
}

function breakGlass(desk: Approvals, { id, subject }: Approval): Promise<Approval> {
  return desk.breakGlass(id, { approver: subject, reason: 'on fire', channel: 'test', clientAddress: '127.0.0.1' });
}

describe('a webhook', () => {
  const hook = () => webhook({ name: 'hook', url: `${url}/hook`, secret, clock });

  test('is signed as Standard Webhooks says, and tells all of an approval', async () => {
    const { store, notifier, desk } = start(hook());
    const { approval } = await store.file(anApproval());
    await notifier.run();
    const [first] = received;
    const id = `${approval.id}.pending`;
    expect(first?.headers).toMatchObject({ 'webhook-id': id, 'webhook-timestamp': String(clock.ms / 1000) });
    const signed = `${id}.${clock.ms / 1000}.${first?.body}`;
    const signature = createHmac('sha256', 'a key of some length').update(signed).digest('base64');
    expect(first?.headers['webhook-signature']).toBe(`v1,${signature}`);
    expect(JSON.parse(first?.body ?? '')).toEqual({
      ...{ type: 'approval.pending', timestamp: '2026-11-28T09:00:00.000Z', data: approval },
    });
    await vote(desk, approval.id);
    await notifier.run();
    expect(received.map(({ body }) => JSON.parse(body).type)).toEqual(['approval.pending', 'approval.approved']);
  });

  test('has a word of its own for glass that was broken', async () => {
    const { store, notifier, desk } = start(hook());
    const { approval } = await store.file(anApproval({ breakGlass: true }));
    await breakGlass(desk, approval);
    await notifier.run();
    const { type, data } = JSON.parse(received.at(-1)?.body ?? '');
    expect(type).toBe('approval.broken_glass');
    expect(data.votes).toMatchObject([{ approver: { id: 'bot' }, reason: 'on fire', brokeGlass: true }]);
  });

  test('is tried again with the same id, ever more rarely, and then given up', async () => {
    const { store, notifier } = start(hook());
    answers = [500, 302, ...Array.from({ length: 20 }, () => 500)];
    await store.file(anApproval());
    await notifier.run();
    expect(received).toHaveLength(1);
    await notifier.run();
    // Not before its time.
    expect(received).toHaveLength(1);
    for (let round = 0; round < 30; round++) {
      clock.ms += 3_600_000;
      await notifier.run();
    }
    expect(received).toHaveLength(12);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    // A redirect is not followed.
    expect(received.map((one) => one.url)).not.toContain('/elsewhere');
  });

  test('that arrives is sent once', async () => {
    const { store, notifier } = start(hook());
    answers = [503];
    await store.file(anApproval());
    for (let round = 0; round < 5; round++) {
      await notifier.run();
      clock.ms += 3_600_000;
    }
    expect(received).toHaveLength(2);
  });
});

describe('Slack', () => {
  const audited: AuditEvent[] = [];
  beforeEach(() => {
    audited.length = 0;
  });
  const slack = () =>
    new Slack({
      ...{ url, token: 'xoxb-token', channel: 'C1', signingSecret: 'signing', clock },
      audit: { append: (event) => void audited.push(event) },
      users: new Map([['U1', ana]]),
    });

  function click(user: string, approval: string, verdict = 'approve', reason = 'fine') {
    const payload = {
      ...{ type: 'block_actions', user: { id: user }, actions: [{ action_id: verdict, value: approval }] },
      state: { values: { reason: { reason: { value: reason } } } },
    };
    const body = Buffer.from(`payload=${encodeURIComponent(JSON.stringify(payload))}`);
    const timestamp = String(Math.floor(clock.ms / 1000));
    const signature = createHmac('sha256', 'signing').update(`v0:${timestamp}:`).update(body).digest('hex');
    return {
      body,
      headers: { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${signature}` },
    };
  }

  async function asked(): Promise<{ desk: Approvals; channel: Slack; approval: Approval }> {
    const channel = slack();
    const { store, desk, notifier } = start(channel);
    const { approval } = await store.file(anApproval({ operation: { text: 'DELETE FROM notes' } }));
    await notifier.run();
    return { desk, channel, approval };
  }

  test('is asked with what will run, for whom, and two buttons', async () => {
    const { approval } = await asked();
    const [message] = received;
    expect(message?.url).toBe('/chat.postMessage');
    expect(message?.headers.authorization).toBe('Bearer xoxb-token');
    const document: JsonObject = JSON.parse(message?.body ?? '');
    expect(document).toMatchObject({ channel: 'C1' });
    for (const word of ['DELETE FROM notes', 'bot for carl', approval.id, '"deny"']) {
      expect(JSON.stringify(document.blocks)).toContain(JSON.stringify(word).slice(1, -1).replaceAll('\\"', '"'));
    }
  });

  test('is told how many rows it would affect, and of glass that was broken', async () => {
    const { store, desk, notifier } = start(slack());
    const { approval } = await store.file(anApproval({ breakGlass: true, estimate: { rows: 1204, cost: 9 } }));
    await notifier.run();
    expect(received[0]?.body).toContain('about 1204 rows');
    await breakGlass(desk, approval);
    await notifier.run();
    expect(JSON.parse(received.at(-1)?.body ?? '').text).toMatch(/glass was broken.*let through alone by bot: on fire/);
  });

  test('lets those decide who are mapped to somebody', async () => {
    const { desk, channel, approval } = await asked();
    const { headers, body } = click('U1', approval.id);
    expect(await channel.action(desk, headers, body, '10.0.0.1')).toMatchObject({ status: 200 });
    expect(await desk.get(approval.id)).toMatchObject({
      state: 'approved',
      votes: [{ approver: { id: 'ana' }, channel: 'slack', clientAddress: '10.0.0.1', reason: 'fine' }],
    });
    // The same click once more decides nothing.
    expect((await channel.action(desk, headers, body, '10.0.0.1')).body).toContain('approved');
    expect((await desk.get(approval.id))?.votes).toHaveLength(1);
  });

  test('lets nobody else decide', async () => {
    const { desk, channel, approval } = await asked();
    const { headers, body } = click('U2', approval.id);
    expect(await channel.action(desk, headers, body, '10.0.0.1')).toMatchObject({ status: 403 });
    expect(await desk.get(approval.id)).toMatchObject({ state: 'pending' });
    expect(audited.map(({ own }) => own)).toEqual([
      {
        ...{ what: 'refused', code: 'approval_not_yours', tried: 'approve', approval: approval.id },
        ...{ slack_user: 'U2', channel: 'slack', client_address: '10.0.0.1' },
      },
    ]);
  });

  test.each([
    ['a body that was changed', (body: Buffer) => Buffer.concat([body, Buffer.from('&x=1')]), {}],
    ['no signature', (body: Buffer) => body, { 'x-slack-signature': undefined }],
    ['a signature of another secret', (body: Buffer) => body, { 'x-slack-signature': `v0=${'0'.repeat(64)}` }],
    ['an old timestamp', (body: Buffer) => body, { 'x-slack-request-timestamp': String(clock.ms / 1000 - 600) }],
    ['no number for a timestamp', (body: Buffer) => body, { 'x-slack-request-timestamp': 'now' }],
  ])('is not believed with %s', async (_, change, other) => {
    const { desk, channel, approval } = await asked();
    const { headers, body } = click('U1', approval.id);
    expect(await channel.action(desk, { ...headers, ...other }, change(body), '10.0.0.1')).toMatchObject({
      status: 401,
    });
    expect(await desk.get(approval.id)).toMatchObject({ state: 'pending' });
    // Nothing that it says is believed, not even in the trail.
    expect(audited.map(({ own }) => own)).toEqual([
      { what: 'refused', code: 'credential_invalid', channel: 'slack', client_address: '10.0.0.1' },
    ]);
  });

  test('is not believed once its message is old, however it is signed', async () => {
    const { desk, channel, approval } = await asked();
    const { headers, body } = click('U1', approval.id);
    clock.ms += 600_000;
    expect(await channel.action(desk, headers, body, '')).toMatchObject({ status: 401 });
  });

  test('is told what a click came to, when it came to nothing', async () => {
    const { desk, channel, approval } = await asked();
    const whispered = nextPost();
    const { headers, body } = click('U1', approval.id, 'approve', '');
    expect((await channel.action(desk, headers, body, '')).body).toContain('reason');
    await whispered;
    expect(received.at(-1)?.url).toBe('/chat.postEphemeral');
  });

  test('is answered at once, however long it takes to tell the one who clicked', async () => {
    const { desk, channel, approval } = await asked();
    silent = '/chat.postEphemeral';
    const whispered = nextPost();
    const { headers, body } = click('U1', approval.id);
    expect(await channel.action(desk, headers, body, '')).toMatchObject({ status: 200 });
    await whispered;
    expect(await desk.get(approval.id)).toMatchObject({ state: 'approved' });
  }, 3_000);

  /** Until the peer has received something more. */
  function nextPost(): Promise<void> {
    return new Promise((resolve) => {
      arrived = resolve;
    });
  }
});
