/** Memory and order of what streams over SSH, with the gateway as a process of its own. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import type { Client, ClientChannel } from '../../proxy/protocols/ssh/ssh2.ts';
import { describeTools } from '../clients/tools.ts';
import { forgetPeak, type GatewayProcess, memoryOf, startGatewayProcess } from '../support/gateway-process.ts';
import { connectSsh, runSsh, startSsh } from '../support/ssh-client.ts';
import { type SshGateway, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';

const MiB = 1024 * 1024;
/** How much a command prints, in MiB; a quick look can do with less. */
const megabytes = Math.min(300, Number(process.env.SALLYPORT_TEST_STREAM_MB ?? 300));
const outputBytes = megabytes * MiB;
const inputBytes = Math.round(megabytes / 3) * MiB;
const addedBytesMax = 64 * MiB;
/** Enough for a loaded machine; nothing here waits for time to pass. */
const patienceMs = 120_000;
const masks = { text: { email: { replace: { value: '[email]' } }, private_key: { replace: { value: '[key]' } } } };

// Only Linux tells how much memory a process held at most.
const missing = [...(findSshd() === undefined ? ['sshd'] : []), ...(process.platform === 'linux' ? [] : ['Linux'])];

describeTools(['head', 'wc'], missing, () => {
  let prepared: SshGateway;
  let gateway: GatewayProcess;
  const clients: Client[] = [];

  beforeAll(async () => {
    prepared = await startSshGateway(spoken);
    await prepared.gateway.close();
    gateway = await startGatewayProcess(prepared.files, {}, 'ssh');
    // What a gateway loads once and a first command compiles is not what streaming costs.
    for (const says of [{ allow: true }, { allow: true, masks }]) {
      const client = await connect(says);
      await total(client, `head -c ${16 * MiB} /dev/zero; head -c ${4 * MiB} /dev/zero >&2`);
      client.end();
    }
  }, patienceMs);
  afterAll(async () => {
    gateway.kill('SIGTERM');
    await gateway.exit;
    await prepared.stop();
  }, patienceMs);
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  let subjects = 0;
  async function connect(says: JsonObject = { allow: true }): Promise<Client> {
    const token = await prepared.token(`streamer-${subjects++}`, { claims: { says } });
    const client = await connectSsh({ host: '127.0.0.1', port: gateway.port, token });
    clients.push(client);
    return client;
  }

  function open(client: Client, command: string): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel)));
    });
  }

  /** Reads both streams to their end and keeps nothing. @returns how much there was of each. */
  async function total(client: Client, command: string): Promise<{ stdout: number; stderr: number }> {
    const channel = await open(client, command);
    return await count(channel);
  }

  async function count(channel: ClientChannel): Promise<{ stdout: number; stderr: number }> {
    const bytes = { stdout: 0, stderr: 0 };
    channel.on('data', (chunk: Buffer) => {
      bytes.stdout += chunk.length;
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      bytes.stderr += chunk.length;
    });
    channel.end();
    channel.resume();
    await once(channel, 'close');
    return bytes;
  }

  /** By how much a piece of work raised the memory of the gateway at its highest. */
  async function added(work: () => Promise<void>): Promise<number> {
    await forgetPeak(gateway.pid);
    const { residentBytes } = await memoryOf(gateway.pid);
    await work();
    return (await memoryOf(gateway.pid)).peakBytes - residentBytes;
  }

  const within = (title: string, work: () => Promise<void>) =>
    test(title, async () => expect(await added(work)).toBeLessThan(addedBytesMax), patienceMs);

  describe(`${megabytes} MiB add less than 64 MiB to the memory of the gateway`, () => {
    const print = `head -c ${outputBytes} /dev/zero`;

    within('as output', async () => {
      expect(await total(await connect(), print)).toEqual({ stdout: outputBytes, stderr: 0 });
    });

    within('as output that is masked', async () => {
      const lines = `yes 'a line of text for ana@example.org' | head -c ${outputBytes / 4}`;
      const { stdout } = await total(await connect({ allow: true, masks }), lines);
      expect(stdout).toBeGreaterThan(outputBytes / 8);
      expect(stdout).toBeLessThan(outputBytes / 4);
    });

    within('as error output, and as both at once', async () => {
      const half = outputBytes / 4;
      const both = `head -c ${half} /dev/zero & head -c ${half} /dev/zero >&2; wait`;
      expect(await total(await connect(), both)).toEqual({ stdout: half, stderr: half });
    });

    within('to a client that does not read for a while', async () => {
      const channel = await open(await connect(), print);
      channel.pause();
      // Another client is not in its way.
      const other = await connect();
      for (let again = 0; again < 20; again++) expect((await runSsh(other, 'echo x')).stdout).toBe('x\n');
      expect(await count(channel)).toEqual({ stdout: outputBytes, stderr: 0 });
    });

    within('as input', async () => {
      const { channel, ended } = await startSsh(await connect(), 'wc -c');
      await send(channel, inputBytes);
      expect(await ended).toMatchObject({ code: 0, stdout: `${inputBytes}\n` });
    });

    within('as input to a command that does not read it', async () => {
      const { channel, ended } = await startSsh(await connect(), 'sleep 1');
      channel.on('error', () => {});
      const sending = send(channel, inputBytes);
      expect(await ended).toMatchObject({ code: 0 });
      await sending;
    });

    within('through a forwarded port', async () => {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        void send(socket, outputBytes);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const client = await connect();
      const { port } = Object(server.address());
      const channel = await new Promise<ClientChannel>((resolve, reject) => {
        client.forwardOut('127.0.0.1', 1, '127.0.0.1', port, (error, opened) =>
          error ? reject(error) : resolve(opened),
        );
      });
      let bytes = 0;
      channel.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      await once(channel, 'close');
      server.close();
      expect(bytes).toBe(outputBytes);
    });
  });

  test(
    'many commands at once on one connection, and on eight, each get their own output',
    async () => {
      const each = await Promise.all(
        Array.from({ length: 8 }, async (_, number) => {
          const client = await connect();
          const commands = Array.from({ length: 8 }, (_one, index) =>
            runSsh(
              client,
              `echo ${number}-${index}; cat; head -c 100000 /dev/zero | wc -c`,
              `input ${number}-${index}\n`,
            ),
          );
          return await Promise.all(commands);
        }),
      );
      for (const [number, ran] of each.entries()) {
        for (const [index, { code, stdout, stderr }] of ran.entries()) {
          expect({ code, stdout, stderr }).toEqual({
            code: 0,
            stdout: `${number}-${index}\ninput ${number}-${index}\n100000\n`,
            stderr: '',
          });
        }
      }
    },
    patienceMs,
  );

  describe('what is refused leaves nothing behind', () => {
    within('thousands of refused commands on one connection', async () => {
      const client = await connect({ allow: true });
      for (let round = 0; round < 100; round++) {
        const refused = Array.from({ length: 30 }, () => runSsh(client, 'if then'));
        for (const { code } of await Promise.all(refused)) expect(code).toBe(126);
      }
      expect(await runSsh(client, 'echo well')).toMatchObject({ code: 0 });
    });

    within('thousands of forwards that fail, and more channels than are allowed', async () => {
      const client = await connect();
      const fail = () =>
        new Promise<boolean>((resolve) => {
          client.forwardOut('127.0.0.1', 1, '127.0.0.1', 1, (error) => resolve(error !== undefined));
        });
      for (let round = 0; round < 50; round++) {
        // More at once than a connection may have: those past the bound fail too.
        const failed = await Promise.all(Array.from({ length: 100 }, fail));
        expect(failed).toEqual(Array(100).fill(true));
      }
      expect(await runSsh(client, 'echo well')).toMatchObject({ code: 0 });
    });
  });
});

/** Writes so many bytes as fast as they are taken, or until nobody takes them any more; then the end. */
async function send(stream: NodeJS.WritableStream, bytes: number): Promise<void> {
  const piece = Buffer.alloc(MiB / 4, 'z');
  const gone = once(stream, 'close').then(() => 'gone');
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!stream.writable) return;
    if (stream.write(piece)) continue;
    if ((await Promise.race([once(stream, 'drain'), gone])) === 'gone') return;
  }
  stream.end();
}
