/** Keys are exchanged again by volume and by time, whichever side has to begin, and nothing is lost on the way. */
import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { testWith } from '../../../../clients/tools.ts';
import { findSshd, startSshd } from '../../../../support/sshd.ts';
import {
  closeOf,
  collect,
  exec,
  nextExec,
  openssh,
  type Pair,
  pattern,
  raw,
  socketOf,
  startClient,
  startExec,
  startPair,
  startServer,
  turns,
  until,
} from './pair.ts';

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function pairWith(options: Parameters<typeof startPair>[0]): Promise<Pair & { handshakes: () => number }> {
  const pair = await startPair(options);
  undo.push(() => pair.stop());
  let count = 0;
  pair.client.on('handshake', () => {
    count += 1;
  });
  return { ...pair, handshakes: () => count };
}

describe.each([
  ['server', { server: { rekey: { bytes: 500_000 } } }],
  ['client', { client: { rekey: { bytes: 500_000 } } }],
  ['server and client at once', { server: { rekey: { bytes: 500_000 } }, client: { rekey: { bytes: 500_000 } } }],
])('begun by the %s', (_who, options) => {
  test('output and input stay whole', async () => {
    const pair = await pairWith(options);
    const { remote, local } = await startExec(pair);
    const [down, up] = [pattern(4_000_000, 1), pattern(4_000_000, 2)];
    const received = Promise.all([collect(local), collect(remote)]);
    remote.write(down, () => remote.eof());
    local.end(up);
    const [gotDown, gotUp] = await received;
    expect(gotDown.equals(down)).toBe(true);
    expect(gotUp.equals(up)).toBe(true);
    expect(pair.handshakes()).toBeGreaterThan(4);
  });
});

test.each(['server', 'client'] as const)('it is begun by the %s when the time has come', async (side) => {
  const pair = await pairWith({ [side]: { rekey: { ms: 30 } } });
  await once(pair.client as unknown as NodeJS.EventEmitter, 'handshake');
  await once(pair.client as unknown as NodeJS.EventEmitter, 'handshake');
  const { remote, local } = await startExec(pair);
  remote.end('fine');
  expect((await collect(local)).toString()).toBe('fine');
});

testWith(['ssh'])('the OpenSSH client follows', async () => {
  const server = await startServer({ rekey: { bytes: 300_000 } });
  undo.push(() => server.stop());
  const input = pattern(3_000_000);
  const answered = openssh(server.port, ['agent@127.0.0.1', 'cat'], input);
  const connection = await until(() => server.connections[0]);
  let rekeyed = 0;
  connection.on('rekey', () => {
    rekeyed += 1;
  });
  const { accept } = await nextExec(connection);
  const channel = accept();
  channel.once('end', () => channel.exit(0));
  channel.pipe(channel);
  const { code, stdout, stderr } = await answered;
  expect({ code, stderr, same: stdout.equals(input) }).toEqual({ code: 0, stderr: '', same: true });
  expect(rekeyed).toBeGreaterThan(3);
});

testWith([], findSshd() === undefined ? ['sshd'] : [])('sshd follows', async () => {
  const sshd = await startSshd();
  undo.push(() => sshd.stop());
  const { client } = startClient(sshd.port, {
    username: sshd.user,
    privateKey: sshd.clientKey,
    authHandler: ['publickey'],
    rekey: { bytes: 300_000 },
  });
  await once(client as unknown as NodeJS.EventEmitter, 'ready');
  let handshakes = 0;
  client.on('handshake', () => {
    handshakes += 1;
  });
  const channel = await exec(client, 'cat');
  const input = pattern(3_000_000);
  const output = collect(channel);
  channel.end(input);
  expect((await output).equals(input)).toBe(true);
  expect(handshakes).toBeGreaterThan(3);
  client.end();
});

test('a peer that asks for answers in place of exchanging keys is sent away', async () => {
  const pair = await pairWith({});
  const closed = closeOf(pair.connection);
  // The server begins, and the client goes on as if it had not heard of it.
  Object.assign(raw(pair.client), { _kex: undefined });
  socketOf(pair.client).removeAllListeners('data');
  pair.connection.rekey();
  for (let count = 0; count < 20_000; count++) {
    raw(pair.client).ping();
    if (count % 1_000 === 0) await turns(1);
  }
  await closed;
  expect(pair.server.errors.map(({ message }) => message)).toEqual(['Too many packets during a key exchange']);
});
