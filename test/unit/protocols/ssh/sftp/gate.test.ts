/** The gate between a client and a host that a test plays, to see what no decent peer does. */
import { describe, expect, test } from '@jest/globals';
import { Client, Gated, type GatedOptions, Packets, permitAll, TestPermit } from './gated.ts';
import { bits, init, noAttributes, pkt, request, str, u32, withId } from './requests.ts';

const handle = Buffer.from('h1');
const name = (id: number, path: string) => pkt(104, u32(id), u32(1), str(path), str(''), noAttributes);
const status = (id: number, code: number) => pkt(101, u32(id), u32(code), str('said'), str(''));

/** A host whose files are what a test says: answers REALPATH and LSTAT, and gives the rest to the test. */
class PlayedHost {
  readonly gated: Gated;
  readonly client: Client;
  /** What reached it but its INIT and the gate's questions. */
  readonly requests: Buffer[] = [];
  /** Where a path leads; a number is a STATUS. */
  realpath: (path: string) => string | number = (path) => (path === '.' ? '/home' : path);
  /** The STATUS of an LSTAT; undefined where it is the client that asks. */
  lstat: ((path: string) => number) | undefined = () => 2;
  answer: (whole: Buffer) => Buffer | undefined = () => undefined;
  readonly #waiting: { count: number; resolve: () => void }[] = [];

  constructor(options: GatedOptions = {}) {
    this.gated = new Gated(options);
    this.client = new Client(this.gated);
    const packets = new Packets((whole) => this.#take(whole));
    this.gated.onHost = (bytes) => packets.push(bytes);
  }

  say(bytes: Buffer): void {
    void this.gated.gate.fromHost(Buffer.from(bytes));
  }

  /** Resolves once this many requests have reached it. */
  reached(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** Opens a file; its HANDLE is `h1`. */
  async open(flags: number = bits.read | bits.write): Promise<void> {
    this.answer = (whole) => pkt(102, u32(whole.readUInt32BE(5)), str(handle));
    await this.client.ask(request.open('/file', flags));
    this.answer = () => undefined;
    this.requests.length = 0;
  }

  #take(whole: Buffer): void {
    const [type, id] = [whole.readUInt8(4), whole.readUInt32BE(5)];
    const path = whole.subarray(13).toString();
    if (type === 1) this.say(pkt(2, u32(3)));
    else if (type === 16) {
      const led = this.realpath(path);
      this.say(typeof led === 'string' ? name(id, led) : status(id, led));
    } else if (type === 7 && this.lstat !== undefined) this.say(status(id, this.lstat(path)));
    else {
      this.requests.push(Buffer.from(whole));
      for (const { count, resolve } of this.#waiting) if (this.requests.length >= count) resolve();
      const answer = this.answer(whole);
      if (answer !== undefined) this.say(answer);
    }
  }
}

const idOf = (whole: Buffer | undefined) => whole?.readUInt32BE(5) ?? -1;

async function begun(options: GatedOptions = {}): Promise<PlayedHost> {
  const host = new PlayedHost(options);
  await host.client.begin();
  return host;
}

describe('the beginning', () => {
  test('a client of a later version is spoken to in version 3', async () => {
    const host = new PlayedHost();
    const version = host.client.answer(3);
    await host.client.send(pkt(1, u32(6), str('newline'), str('\r\n')));
    expect((await version).type).toBe(2);
  });

  test.each([
    ['anything but INIT', withId(1, request.stat('/'))],
    ['an older version', pkt(1, u32(2))],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('%s ends the channel', async (_, bytes) => {
    const host = new PlayedHost();
    void host.client.send(bytes);
    expect((await host.gated.failed).code).toMatch(/^operation_(malformed|unsupported|too_large)$/);
    expect(host.requests).toEqual([]);
  });

  test('a second INIT ends the channel', async () => {
    const host = await begun();
    void host.client.send(init);
    expect((await host.gated.failed).code).toBe('operation_malformed');
  });

  test.each([
    ['a VERSION of another version', pkt(2, u32(4))],
    ['a STATUS', status(0, 0)],
  ])('%s from the host ends the channel', async (_, bytes) => {
    const gated = new Gated();
    gated.onHost = () => void gated.gate.fromHost(Buffer.from(bytes));
    void gated.gate.fromClient(Buffer.from(init));
    expect((await gated.failed).code).toMatch(/^operation_/);
  });

  test('a host that does not say where it is ends the channel', async () => {
    const host = new PlayedHost();
    host.realpath = () => 'not/absolute';
    void host.client.send(init);
    expect((await host.gated.failed).code).toBe('upstream_unavailable');
  });

  test('a host that does not answer is waited for a bounded time', async () => {
    const gated = new Gated({ limits: { sftpAnswerTimeoutMs: 1 } });
    void gated.gate.fromClient(Buffer.from(init));
    expect((await gated.failed).code).toBe('upstream_unavailable');
  });
});

describe('request ids', () => {
  test('of the client never reach the host, so that none can be taken for the gate’s', async () => {
    const host = await begun();
    host.lstat = undefined;
    host.answer = (whole) => pkt(105, u32(idOf(whole)), noAttributes);
    const ids = [0, 1, 2, 3, 4, 5, 6, 7, 2 ** 32 - 1];
    for (const id of ids) {
      expect(await host.client.ask(request.stat('/x'), id)).toMatchObject({ type: 105, id });
    }
    const seen = host.requests.map(idOf);
    expect(new Set(seen).size).toBe(ids.length);
  });

  test('may be the same for two requests: each gets its own answer', async () => {
    const host = await begun();
    await host.open();
    await host.client.send(
      Buffer.concat([withId(7, request.read(handle, 0, 4)), withId(7, request.write(handle, 0, 'data'))]),
    );
    await host.reached(2);
    const [read, write] = host.requests.map(idOf);
    host.say(status(write ?? 0, 0));
    host.say(pkt(103, u32(read ?? 0), str('text')));
    expect(host.client.answers.slice(-2)).toMatchObject([
      { id: 7, code: 0 },
      { id: 7, content: Buffer.from('text') },
    ]);
    expect(host.gated.fault).toBeUndefined();
  });

  test('the answer to a question of the gate’s own never reaches the client', async () => {
    const host = await begun();
    host.answer = (whole) => status(idOf(whole), 0);
    await host.client.ask(request.remove('/a/b'));
    expect(host.client.answers.map(({ type }) => type)).toEqual([2, 101]);
  });
});

describe('a host that answers something else ends the channel', () => {
  const cases: [string, (id: number) => Buffer][] = [
    ['a request that was not made', () => status(4_000_000, 0)],
    ['a READ with a HANDLE', (id) => pkt(102, u32(id), str('h2'))],
    ['a READ with a request', (id) => withId(id, request.stat('/'))],
    ['a READ with more than was asked', (id) => pkt(103, u32(id), str('12345'))],
    ['a READ with another length than it says', (id) => pkt(103, u32(id), u32(3), Buffer.from('1234'))],
    ['with a STATUS that is cut short', (id) => pkt(101, u32(id))],
    ['with a second VERSION', () => pkt(2, u32(3))],
    ['with a packet that is too long', () => u32(262_145)],
  ];

  test.each(cases)('%s', async (_, bytes) => {
    const host = await begun();
    await host.open();
    await host.client.send(withId(1, request.read(handle, 0, 4)));
    await host.reached(1);
    const before = host.client.answers.length;
    host.say(Buffer.concat([bytes(idOf(host.requests[0])), Buffer.alloc(16)]));
    expect((await host.gated.failed).code).toMatch(/^operation_/);
    expect(host.client.answers.length).toBe(before);
    // Nothing is read any more, from either side.
    await host.client.send(withId(2, request.stat('/')));
    expect(host.requests).toHaveLength(1);
  });

  test('with a handle that is open already', async () => {
    const host = await begun();
    await host.open();
    host.answer = (whole) => pkt(102, u32(idOf(whole)), str(handle));
    void host.client.ask(request.open('/other', bits.read));
    expect((await host.gated.failed).code).toBe('operation_malformed');
    host.gated.gate.close();
    expect(host.gated.permits.filter(({ open }) => open)).toEqual([]);
  });

  test('with a handle that is too long', async () => {
    const host = await begun();
    host.answer = (whole) => pkt(102, u32(idOf(whole)), str('h'.repeat(257)));
    void host.client.ask(request.open('/other', bits.read));
    expect((await host.gated.failed).code).toBe('operation_malformed');
  });

  test.each(['relative', '/a/../etc', '/a//b', '/a\0b', ''])('but a path like %j only leads nowhere', async (path) => {
    const host = await begun();
    host.realpath = () => path;
    expect((await host.client.ask(request.stat('/x'))).code).toBe(3);
    expect(host.gated.judged.at(-1)).toMatchObject({ resolved: '', fault: { code: 'operation_incomplete' } });
    expect(host.requests).toEqual([]);
  });
});

test('a host whose REALPATH does not know what is there cannot be made to follow it', async () => {
  const host = await begun();
  host.realpath = (path) => (path === '/home/dangling' ? 2 : path);
  host.lstat = () => 0;
  expect((await host.client.ask(request.open('dangling', bits.write | bits.create))).code).toBe(3);
  expect(host.requests).toEqual([]);
});

test('what is forwarded is what was judged', async () => {
  const host = await begun();
  host.realpath = (path) => path.replace(/^\/home/, '/real');
  host.answer = (whole) => status(idOf(whole), 0);
  await host.client.ask(request.rename('a/../b', './c//d/'));
  const { resolved, targetResolved } = host.gated.judged.at(-1) ?? {};
  expect([resolved, targetResolved]).toEqual(['/real/b', '/real/c/d']);
  expect(host.requests).toEqual([withId(idOf(host.requests[0]), request.rename('/real/b', '/real/c/d'))]);
});

test('nothing is resolved while it is open where paths lead, also at a host that works on many requests at once', async () => {
  const host = await begun();
  const asked: string[] = [];
  host.realpath = (path) => {
    asked.push(path);
    return path;
  };
  const behind = [host.client.answer(1), host.client.answer(2)];
  const removal = [withId(1, request.remove('/a/link')), withId(2, request.opendir('/a/link/x'))];
  const sent = host.client.send(Buffer.concat(removal));
  await host.reached(1);
  // Everything that was ready to happen has.
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toEqual(['/a']);
  host.answer = (whole) => status(idOf(whole), 4);
  host.say(status(idOf(host.requests[0]), 0));
  await sent;
  await Promise.all(behind);
  expect(asked).toEqual(['/a', '/a/link/x']);
});

test('what the gateway refuses stays refused, even by a judge that would permit it', async () => {
  const host = await begun({ judge: (operation) => ({ permit: new TestPermit(operation) }) });
  host.realpath = (path) => (path === '/loop' ? 4 : path);
  expect((await host.client.ask(request.open('/loop', bits.read))).code).toBe(3);
  expect((await host.client.ask(request.stat(Buffer.from('/a\0b')))).code).toBe(5);
  expect((await host.client.ask(request.fsetstat(handle, noAttributes))).code).toBe(5);
  expect(host.requests).toEqual([]);
  expect(host.gated.permits.map(({ outcome }) => outcome?.status)).toEqual(['aborted', 'aborted', 'aborted']);
});

describe('content', () => {
  test('of a WRITE goes on as it arrives', async () => {
    const host = await begun();
    await host.open();
    const whole = withId(5, request.write(handle, 0, Buffer.alloc(1_000, 'z')));
    const arrived: number[] = [];
    const { onHost } = host.gated;
    host.gated.onHost = (bytes) => {
      arrived.push(bytes.length);
      onHost(bytes);
    };
    await host.client.send(whole.subarray(0, 400));
    expect(arrived).toEqual([400]);
    await host.client.send(whole.subarray(400));
    expect(arrived).toEqual([400, whole.length - 400]);
    expect(host.requests[0]?.subarray(9)).toEqual(whole.subarray(9));
  });

  test('of a WRITE whose permit ends meanwhile goes no further, and the channel ends', async () => {
    const host = await begun();
    await host.open();
    const whole = withId(5, request.write(handle, 0, Buffer.alloc(1_000, 'z')));
    await host.client.send(whole.subarray(0, 400));
    host.gated.permits[0]?.complete({ status: 'aborted' });
    await host.client.send(whole.subarray(400));
    expect((await host.gated.failed).code).toBe('session_ended');
  });

  test('of a refused WRITE is read over, wherever it is cut', async () => {
    const whole = Buffer.concat([
      withId(5, request.write(Buffer.from('no'), 0, Buffer.alloc(600, 'z'))),
      withId(6, request.close(handle)),
    ]);
    for (const cut of [1, 12, 30, 280, 281, 282, 400, 631, 640]) {
      const host = await begun();
      await host.open();
      host.answer = (close) => status(idOf(close), 0);
      const closed = host.client.answer(6);
      void host.client.send(whole.subarray(0, cut));
      void host.client.send(whole.subarray(cut));
      expect((await closed).code).toBe(0);
      expect(host.requests.map((bytes) => bytes[4])).toEqual([4]);
    }
  });

  test('behind a refused WRITE waits for its refusal, also when it comes with the end of it', async () => {
    const verdict = Promise.withResolvers<void>();
    const host = await begun({
      judge: async (operation) => {
        if (operation.fault !== undefined) await verdict.promise;
        return permitAll(operation);
      },
    });
    await host.open();
    host.answer = (whole) => status(idOf(whole), 0);
    const refused = withId(5, request.write(Buffer.from('no'), 0, Buffer.alloc(600, 'z')));
    await host.client.send(refused.subarray(0, 400));
    const answers = Promise.all([host.client.answer(5), host.client.answer(6), host.client.answer(7)]);
    const behind = [withId(6, request.remove('/a')), withId(7, request.close(handle))];
    const sent = host.client.send(Buffer.concat([refused.subarray(400), ...behind]));
    expect(host.gated.judged.at(-1)?.fault).toBeDefined();
    verdict.resolve();
    await sent;
    await answers;
    expect(host.client.answers.slice(-3).map(({ id }) => id)).toEqual([5, 6, 7]);
  });

  test.each([
    ['longer than its packet', Buffer.concat([str(handle), u32(0), u32(0), u32(5), Buffer.from('1234')])],
    ['shorter than its packet', Buffer.concat([str(handle), u32(0), u32(0), u32(3), Buffer.from('1234')])],
    ['with a handle behind its packet', Buffer.concat([u32(200), Buffer.from('h1')])],
    ['with a handle that is too long', Buffer.concat([u32(2 ** 32 - 1), Buffer.alloc(400)])],
    ['without anything', Buffer.alloc(0)],
  ])('of a WRITE %s is refused', async (_, body) => {
    const host = await begun();
    await host.open();
    const answer = host.client.answer(9);
    await host.client.send(pkt(6, u32(9), body));
    expect((await answer).code).toBe(5);
    expect(host.requests).toEqual([]);
  });

  test('that the host did not take is not hashed', async () => {
    const host = await begun();
    await host.open(bits.write);
    host.answer = (whole) => status(idOf(whole), whole[4] === 6 ? 4 : 0);
    await host.client.ask(request.write(handle, 0, 'data'));
    await host.client.ask(request.close(handle));
    expect(host.gated.transfers).toMatchObject([{ bytes: 4, sha256: undefined, complete: false }]);
    expect(host.gated.permits.map(({ outcome }) => outcome)).toEqual([{ status: 'error', bytes: 4 }]);
  });

  test('of a file that could not be closed is not complete', async () => {
    const host = await begun();
    await host.open(bits.write);
    host.answer = (whole) => status(idOf(whole), whole[4] === 4 ? 4 : 0);
    await host.client.ask(request.write(handle, 0, 'data'));
    await host.client.ask(request.close(handle));
    expect(host.gated.transfers).toMatchObject([{ bytes: 4, complete: false }]);
  });
});

test('a refusal does not come in the middle of a reply', async () => {
  const host = await begun();
  await host.open();
  await host.client.send(withId(1, request.read(handle, 0, 100)));
  await host.reached(1);
  const data = pkt(103, u32(idOf(host.requests[0])), str('x'.repeat(100)));
  host.say(data.subarray(0, 50));
  const refused = host.client.answer(2);
  void host.client.send(withId(2, request.read(Buffer.from('no'), 0, 1)));
  const done = host.client.answer(1);
  host.say(data.subarray(50));
  expect((await done).content.toString()).toBe('x'.repeat(100));
  expect((await refused).code).toBe(5);
});

describe('what waits is bounded', () => {
  test('with too many unanswered requests the client is not read', async () => {
    const host = await begun({ limits: { sftpOutstandingMax: 2 } });
    await host.open();
    const reads = Buffer.concat([1, 2, 3, 4].map((id) => withId(id, request.read(handle, 0, 1))));
    let through = false;
    const sent = host.client.send(reads).then(() => {
      through = true;
    });
    await host.reached(2);
    expect([host.requests.length, through]).toEqual([2, false]);
    host.say(status(idOf(host.requests[0]), 1));
    await host.reached(3);
    expect([host.requests.length, through]).toEqual([3, false]);
    for (const answered of [1, 2]) host.say(status(idOf(host.requests[answered]), 1));
    await host.reached(4);
    await sent;
    expect(through).toBe(true);
  });

  test('a WRITE is not stuck behind itself', async () => {
    const host = await begun({ limits: { sftpOutstandingMax: 1 } });
    await host.open();
    host.answer = (whole) => status(idOf(whole), 0);
    const wrote = host.client.answer(1);
    const whole = withId(1, request.write(handle, 0, 'x'.repeat(1_000)));
    void host.client.send(whole.subarray(0, 500));
    void host.client.send(whole.subarray(500));
    expect((await wrote).code).toBe(0);
  });

  test('a side that takes no more holds the other, until it does', async () => {
    const room = { host: Promise.withResolvers<void>(), client: Promise.withResolvers<void>() };
    let full = false;
    const host = await begun({ full: () => full, drained: (side) => room[side].promise });
    await host.open();
    await host.client.idle;
    full = true;
    let through = false;
    const first = withId(1, request.read(handle, 0, 4));
    const held = host.gated.gate.fromClient(Buffer.from(first))?.then(() => {
      through = true;
    });
    await host.reached(1);
    expect([held === undefined, through]).toEqual([false, false]);
    const said = host.gated.gate.fromHost(pkt(103, u32(idOf(host.requests[0])), str('text')));
    expect(said).toBeInstanceOf(Promise);
    expect(through).toBe(false);
    full = false;
    room.host.resolve();
    room.client.resolve();
    await Promise.all([held, said]);
    expect(through).toBe(true);
    expect(host.gated.gate.fromClient(Buffer.from(withId(2, request.read(handle, 4, 4))))).toBeUndefined();
  });
});

test('a client that is read while it has to wait ends the channel, and overtakes nothing', async () => {
  const host = await begun({ judge: () => new Promise(() => {}) });
  await host.client.idle;
  void host.gated.gate.fromClient(withId(1, request.remove('/a')));
  expect(host.gated.fault).toBeUndefined();
  void host.gated.gate.fromClient(withId(2, request.remove('/b')));
  expect((await host.gated.failed).code).toBe('internal_error');
  expect(host.requests).toEqual([]);
});

describe('the end', () => {
  test('in the middle of a packet is a fault', async () => {
    const host = await begun();
    expect(host.gated.gate.clientEnded()).toBeUndefined();
    await host.client.send(withId(1, request.stat('/')).subarray(0, 7));
    expect(host.gated.gate.clientEnded()?.code).toBe('operation_malformed');
  });

  test('lets go of a client that waits for a verdict or the host', async () => {
    const [asked, verdict] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const host = await begun({
      judge: async (operation) => {
        asked.resolve();
        await verdict.promise;
        return permitAll(operation);
      },
    });
    const sent = host.client.send(withId(1, request.remove('/a')));
    await asked.promise;
    host.gated.gate.close();
    verdict.resolve();
    await sent;
    expect(host.requests).toEqual([]);
    expect(host.gated.permits.map(({ outcome }) => outcome?.status)).toEqual(['aborted']);
  });

  test('says of what was forwarded and not answered that nobody knows', async () => {
    const host = await begun();
    await host.client.send(withId(1, request.remove('/a')));
    await host.reached(1);
    host.gated.gate.close();
    expect(host.gated.permits.map(({ outcome }) => outcome?.status)).toEqual(['unknown']);
  });

  test('a judge that throws ends the channel, without its words', async () => {
    const host = await begun({
      judge: () => {
        throw new Error('a secret');
      },
    });
    await host.client.send(withId(1, request.stat('/')));
    expect(await host.gated.failed).toEqual({
      code: 'internal_error',
      message: 'The gateway failed while judging a request.',
    });
  });
});
