/** Channels lose nothing, duplicate nothing, and nobody who waits for one hangs. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
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
  rawChannel,
  startClient,
  startExec,
  startPair,
  turns,
  until,
} from './pair.ts';

const withoutSshd = findSshd() === undefined ? ['sshd'] : [];
let pair: Pair;

beforeEach(async () => {
  pair = await startPair();
});

afterEach(() => pair.stop());

describe('a decision that takes its time', () => {
  test('loses neither data nor EOF that came before accept()', async () => {
    const sent = pattern(1_500_000);
    const asked = nextExec(pair.connection);
    const opened = exec(pair.client);
    // The client does not wait for the answer.
    const early = asked.then(async ({ session, accept }) => {
      const { outgoing } = rawChannel(Reflect.get(session, '_chanInfo') as object);
      const id = rawChannel(Reflect.get(session, '_chanInfo') as object).incoming.id;
      expect(outgoing.state).toBe('open');
      for (let at = 0; at < sent.length; at += 30_000) raw(pair.client).channelData(id, sent.subarray(at, at + 30_000));
      const ended = once(session, 'eof');
      raw(pair.client).channelEOF(id);
      await ended;
      return accept();
    });
    const channel = await early;
    expect(channel).toBeDefined();
    expect((await collect(channel)).equals(sent)).toBe(true);
    const local = await opened;
    const output = collect(local);
    channel.end('done');
    expect((await output).toString()).toBe('done');
  });

  testWith(['ssh'])('serves a real client that has sent everything and closed its input', async () => {
    const input = pattern(300_000, 7);
    const answered = openssh(pair.server.port, ['agent@127.0.0.1', 'cat'], input);
    const connection = await until(() => pair.server.connections[1]);
    const { session, accept } = await nextExec(connection);
    expect(session.listenerCount('exec')).toBe(0);
    await turns(200);
    const channel = accept();
    channel.once('end', () => channel.exit(0));
    channel.pipe(channel);
    const { code, stdout } = await answered;
    expect({ code, same: stdout.equals(input) }).toEqual({ code: 0, same: true });
  });

  test('does not count a window that was opened before accept() for nothing', async () => {
    const { session, accept } = await new Promise<Awaited<ReturnType<typeof nextExec>>>((resolve) => {
      void nextExec(pair.connection).then(resolve);
      void exec(pair.client).catch(() => {});
    });
    const info = rawChannel(Reflect.get(session, '_chanInfo') as object);
    const before = info.outgoing.window;
    raw(pair.client).channelWindowAdjust(info.incoming.id, 1_000);
    await turns();
    expect(info.outgoing.window).toBe(before + 1_000);
    accept().end();
  });

  test('gets a channel that closes at once when the client has gone meanwhile', async () => {
    const asked = nextExec(pair.connection);
    exec(pair.client).catch(() => {});
    const { session, accept } = await asked;
    const gone = Promise.all([closeOf(pair.connection), closeOf(session)]);
    pair.client.destroy();
    await gone;
    const channel = accept();
    const closed = once(channel, 'close');
    channel.resume();
    await closed;
    await new Promise<void>((resolve) => channel.write('too late', () => resolve()));
  });

  test('does not let a client in that has gone meanwhile', async () => {
    let decide: (() => void) | undefined;
    const slow = await startPair({
      server: {
        authenticate: (attempt) => {
          if (attempt.username === 'agent') attempt.accept();
          else decide = () => attempt.accept();
        },
      },
    });
    try {
      const late = startClient(slow.server.port, { username: 'late' });
      const accept = await until(() => decide);
      const connection = await until(() => slow.server.connections[1]);
      let ready = false;
      connection.once('ready', () => {
        ready = true;
      });
      const closed = closeOf(connection);
      late.client.destroy();
      await closed;
      accept();
      expect(ready).toBe(false);
    } finally {
      await slow.stop();
    }
  });

  test('answers the requests of a session in their order', async () => {
    const answers: string[] = [];
    pair.connection.once('session', (acceptSession) => {
      const session = acceptSession();
      let acceptPty: (() => void) | undefined;
      session.on('pty', (accept) => {
        acceptPty = accept as () => void;
      });
      session.once('exec', (accept) => {
        accept();
        setImmediate(() => acceptPty?.());
      });
    });
    const handlers = raw(pair.client)._handlers;
    for (const name of ['CHANNEL_SUCCESS', 'CHANNEL_FAILURE']) {
      const handler = handlers[name] as (...args: unknown[]) => void;
      handlers[name] = (...args: unknown[]) => {
        answers.push(name);
        handler(...args);
      };
    }
    const last = new Promise<void>((resolve) => {
      const handler = handlers.CHANNEL_FAILURE as (...args: unknown[]) => void;
      handlers.CHANNEL_FAILURE = (...args: unknown[]) => {
        handler(...args);
        resolve();
      };
    });
    // The client asks for a terminal, and is made to ask for two commands before it has an answer.
    const confirm = handlers.CHANNEL_OPEN_CONFIRMATION as (...args: unknown[]) => void;
    handlers.CHANNEL_OPEN_CONFIRMATION = (...args: unknown[]) => {
      confirm(...args);
      const { sender } = args[1] as { sender: number };
      raw(pair.client).exec(sender, 'first', true);
      raw(pair.client).exec(sender, 'second', true);
    };
    pair.client.exec('third', { pty: true }, () => {});
    await last;
    expect(answers).toEqual(['CHANNEL_SUCCESS', 'CHANNEL_SUCCESS', 'CHANNEL_FAILURE']);
  });
});

describe('a session', () => {
  test('hears of window changes and signals after the client’s EOF', async () => {
    const asked = nextExec(pair.connection);
    const opened = exec(pair.client);
    const { session, accept } = await asked;
    const changed = once(session, 'window-change');
    const signalled = once(session, 'signal');
    const ended = once(session, 'eof');
    const remote = accept();
    const local = await opened;
    local.end();
    await ended;
    local.setWindow(50, 100, 0, 0);
    local.signal('INT');
    const [[, , size], [, , signal]] = await Promise.all([changed, signalled]);
    expect(size).toMatchObject({ rows: 50, cols: 100 });
    expect(signal).toEqual({ name: 'INT' });
    remote.end();
  });

  test('that is closed before anything was started is closed on both sides, and forgotten', async () => {
    const begun = once(pair.connection, 'session');
    let id = -1;
    pair.connection.once('session', (accept) => {
      id = rawChannel(Reflect.get(accept(), '_chanInfo') as object).incoming.id;
    });
    const closed = new Promise<void>((resolve) => {
      raw(pair.client)._handlers.CHANNEL_CLOSE = () => resolve();
    });
    raw(pair.client).session(77, 1_000, 1_000);
    await begun;
    raw(pair.client).channelClose(id);
    await closed;
    expect(Object.keys(Reflect.get(Reflect.get(pair.connection, '_chanMgr') as object, '_channels') as object)).toEqual(
      [],
    );
  });

  test('starts one thing: a second is refused, not left without an answer', async () => {
    const { local, session } = await startExec(pair);
    session.on('exec', () => {
      throw new Error('it was offered');
    });
    const failed = new Promise<void>((resolve) => {
      raw(pair.client)._handlers.CHANNEL_FAILURE = () => resolve();
    });
    raw(pair.client).exec(rawChannel(local).outgoing.id, 'again', true);
    await failed;
  });

  test('passes on that a command was ended by a signal without a standard name', async () => {
    const { remote, local } = await startExec(pair);
    const exited = once(local, 'exit');
    remote.exit('SIGSIG@openssh.com', false, '');
    remote.end();
    expect((await exited).slice(0, 2)).toEqual([null, 'SIGSIG@openssh.com']);
  });
});

describe('stdout and stderr', () => {
  test('are whole when one follows the other, each larger than the window', async () => {
    const { remote, local } = await startExec(pair);
    const [out, err] = [pattern(5_000_000, 1), pattern(5_000_000, 2)];
    remote.write(out, () => {});
    remote.stderr.write(err);
    remote.end();
    const received = await Promise.all([collect(local), collect(local.stderr)]);
    expect(received.map((bytes, index) => bytes.equals(index === 0 ? out : err))).toEqual([true, true]);
  });

  test('keep neither waiting while both are written', async () => {
    const { remote, local } = await startExec(pair);
    const [out, err] = [pattern(6_000_000, 3), pattern(6_000_000, 4)];
    const piece = 50_000;
    for (let at = 0; at < out.length; at += piece) {
      remote.write(out.subarray(at, at + piece));
      remote.stderr.write(err.subarray(at, at + piece));
    }
    let outLength = 0;
    let least = 0;
    local.on('data', (chunk: Buffer) => {
      outLength += chunk.length;
    });
    local.stderr.on('data', () => {
      least = Math.max(least, outLength === out.length ? 0 : outLength);
    });
    remote.end();
    const received = await Promise.all([collect(local), collect(local.stderr)]);
    expect(received.map((bytes) => bytes.length)).toEqual([out.length, err.length]);
    expect(received.map((bytes, index) => bytes.equals(index === 0 ? out : err))).toEqual([true, true]);
    expect(least).toBeGreaterThan(0);
  });

  testWith(['ssh'])('reach a real client whole', async () => {
    const answered = openssh(pair.server.port, ['agent@127.0.0.1', 'x']);
    const { accept } = await nextExec(await until(() => pair.server.connections[1]));
    const channel = accept();
    channel.stderr.write(pattern(3_000_000, 2));
    channel.write(pattern(3_000_000, 1));
    channel.exit(5);
    channel.end();
    const { code, stdout, stderr } = await answered;
    expect(code).toBe(5);
    expect(stdout.equals(pattern(3_000_000, 1))).toBe(true);
    expect(stderr).toBe(pattern(3_000_000, 2).toString());
  });
});

describe('whoever waits for a channel', () => {
  test('is told of a write that the client’s close has made pointless', async () => {
    const { remote, local } = await startExec(pair);
    local.pause();
    const written = new Promise<void>((resolve) => remote.write(pattern(5_000_000), () => resolve()));
    const complained = new Promise<void>((resolve) => remote.stderr.write(pattern(5_000_000), () => resolve()));
    await turns();
    local.close();
    await Promise.all([written, complained]);
    await new Promise<void>((resolve) => remote.write('after the end', () => resolve()));
  });

  test('is told of a write when the connection ends', async () => {
    const { remote, local } = await startExec(pair);
    local.pause();
    const written = new Promise<void>((resolve) => remote.write(pattern(5_000_000), () => resolve()));
    const complained = new Promise<void>((resolve) => remote.stderr.write(pattern(5_000_000), () => resolve()));
    await turns();
    pair.client.destroy();
    await Promise.all([written, complained]);
  });

  test('gets `close` after the last of stderr, however late that is read', async () => {
    const { remote, local } = await startExec(pair);
    const events: string[] = [];
    const err = pattern(1_000_000);
    remote.stderr.write(err);
    remote.exit(3);
    remote.end();
    local.stderr.once('end', () => events.push('stderr'));
    local.once('close', () => events.push('close'));
    const closed = once(local, 'close');
    local.resume();
    await once(local, 'end');
    events.push('stdout');
    await turns();
    const received = await collect(local.stderr);
    const [code] = await closed;
    expect(received.length).toBe(err.length);
    expect(received.equals(err)).toBe(true);
    expect({ code, events }).toEqual({ code: 3, events: ['stdout', 'stderr', 'close'] });
  });

  test('gets `close` without listening to a stderr that says nothing', async () => {
    const { remote, local } = await startExec(pair);
    const closed = once(local, 'close');
    local.resume();
    remote.exit(0);
    remote.end('out');
    expect(await closed).toEqual([0]);
  });

  testWith([], withoutSshd)('gets the exit status of a command that outlives its output', async () => {
    const sshd = await startSshd();
    const { client } = startClient(sshd.port, {
      username: sshd.user,
      privateKey: sshd.clientKey,
      authHandler: ['publickey'],
    });
    try {
      await once(client as unknown as NodeJS.EventEmitter, 'ready');
      const channel = await exec(client, 'exec >&- 2>&-; sleep 0.2; exit 7');
      const closed = once(channel, 'close');
      channel.end();
      channel.resume();
      channel.stderr.resume();
      expect(await closed).toEqual([7]);
    } finally {
      client.end();
      await sshd.stop();
    }
  });
});
