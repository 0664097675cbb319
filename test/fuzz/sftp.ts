/**
 * What must hold for any bytes an SFTP client or host can send. Each check throws when it does not.
 */
import { deepStrictEqual, notStrictEqual, ok } from 'node:assert/strict';
import { limits } from '../../proxy/core/limits.ts';
import { Conversation, type Expected, type SftpGateParts } from '../../proxy/protocols/ssh/sftp/conversation.ts';
import { createSftpGate } from '../../proxy/protocols/ssh/sftp/gate.ts';
import { HostReplies } from '../../proxy/protocols/ssh/sftp/host-replies.ts';
import { OpenFile } from '../../proxy/protocols/ssh/sftp/open-files.ts';
import type { OperationPermit, SftpOperation } from '../../proxy/protocols/ssh/sftp/operation.ts';
import { PacketReader } from '../../proxy/protocols/ssh/sftp/packet-reader.ts';
import type { Random } from './mutate.ts';

/** Everything one stream comes to. */
interface Result {
  /** What reached the host, request ids taken out. */
  readonly host: readonly string[];
  /** What reached the client, sorted: replies may come in any order. */
  readonly client: readonly string[];
  readonly judged: readonly SftpOperation[];
  readonly transfers: readonly object[];
  readonly outcomes: readonly unknown[];
  readonly fault: string;
}

class FuzzPermit implements OperationPermit {
  outcome: unknown;
  get open(): boolean {
    return this.outcome === undefined;
  }
  complete(outcome: unknown): void {
    this.outcome ??= outcome;
  }
}

/** Whole packets in `bytes`, and what is left. */
function packetsIn(bytes: Buffer): { packets: Buffer[]; rest: Buffer } {
  const packets: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= 4 && bytes.length - at >= bytes.readUInt32BE(at) + 4) {
    const end = at + bytes.readUInt32BE(at) + 4;
    packets.push(bytes.subarray(at, end));
    at = end;
  }
  return { packets, rest: bytes.subarray(at) };
}

/** The parts of a gate whose output goes to `host` and `client`; it refuses what leads below /secret. */
function parts(
  host: (bytes: Buffer) => void,
  client: (bytes: Buffer) => void,
): {
  parts: SftpGateParts<FuzzPermit>;
  judged: SftpOperation[];
  transfers: object[];
  permits: FuzzPermit[];
  fault(): string;
} {
  const judged: SftpOperation[] = [];
  const transfers: object[] = [];
  const permits: FuzzPermit[] = [];
  let fault = '';
  const queues: { host: Buffer[]; client: Buffer[] } = { host: [], client: [] };
  const forward = (permit: FuzzPermit, bytes: Buffer) => {
    ok(permit.open, 'bytes were forwarded without a permit');
    queues.host.push(Buffer.from(bytes));
  };
  const flush = (side: 'host' | 'client', take: (bytes: Buffer) => void): boolean => {
    for (const bytes of queues[side].splice(0)) take(bytes);
    return true;
  };
  return {
    judged,
    transfers,
    permits,
    fault: () => fault,
    parts: {
      permit: new FuzzPermit(),
      toHost: {
        forward: (permit, chunk, from, to) => forward(permit, chunk.subarray(from, to)),
        insert: forward,
        flush: () => flush('host', host),
      },
      toClient: {
        range: (chunk, from, to) => void queues.client.push(Buffer.from(chunk.subarray(from, to))),
        insert: (bytes) => void queues.client.push(Buffer.from(bytes)),
        flush: () => flush('client', client),
      },
      drained: async () => {},
      authorize(operation) {
        judged.push(operation);
        const secret = [operation.resolved, operation.targetResolved].some((path) => path.startsWith('/secret'));
        if (operation.fault !== undefined || secret) return { refusal: 'no' };
        const permit = new FuzzPermit();
        permits.push(permit);
        return { permit, cap: { bytes: 60, text: 'enough' } };
      },
      recordTransfer: (transfer) => void transfers.push(transfer),
      fail: ({ code }) => {
        fault = code;
      },
      limits,
    },
  };
}

const u32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const str = (text: string) => Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
const reply = (type: number, id: number, ...body: Buffer[]) => {
  const rest = Buffer.concat([Buffer.from([type]), u32(id), ...body]);
  return Buffer.concat([u32(rest.length), rest]);
};
const stringAt = (whole: Buffer, at: number) => whole.toString('utf8', at + 4, at + 4 + whole.readUInt32BE(at));
const after = (whole: Buffer, at: number) => at + 4 + whole.readUInt32BE(at);

/** A host with links: whatever is below a folder `link` is in /secret, `none` does not exist, `dangling` leads nowhere. */
function answerOf(whole: Buffer, opened: number): Buffer {
  const [type, id] = [whole.readUInt8(4), whole.readUInt32BE(5)];
  const status = (code: number) => reply(101, id, u32(code), str(''), str(''));
  const name = (path: string) => reply(104, id, u32(1), str(path), str(path), u32(0));
  switch (type) {
    case 1:
      return reply(2, 3, str('limits@openssh.com'), str('1'));
    case 3:
    case 11:
      return reply(102, id, str(`h${opened}`));
    case 5:
      return whole.readUInt32BE(whole.length - 8) > 40
        ? status(1)
        : reply(103, id, str('x'.repeat(Math.min(20, whole.readUInt32BE(whole.length - 4)))));
    case 7:
      return stringAt(whole, 9).includes('dangling') ? reply(105, id, u32(0)) : status(2);
    case 8:
    case 17:
      return reply(105, id, u32(0));
    case 12:
      return status(1);
    case 16: {
      const path = stringAt(whole, 9);
      if (path === '.') return name('/home');
      if (/none|dangling/.test(path)) return status(2);
      return name(path.replace(/^.*\/link(?=\/|$)/, '/secret'));
    }
    case 19:
      return name('anything');
    case 200: {
      const extension = stringAt(whole, 9);
      if (/^(expand-path|home-directory)/.test(extension)) return name('/home');
      if (extension === 'limits@openssh.com') return reply(201, id, Buffer.alloc(32, 1));
      return /^(f?statvfs|users)/.test(extension) ? reply(201, id) : status(0);
    }
    default:
      return status(0);
  }
}

/** A request that reached the host is the last one that was permitted, with the paths that were judged. */
function checkForwarded(whole: Buffer, last: SftpOperation | undefined): void {
  const type = whole.readUInt8(4);
  const extension = type === 200 ? stringAt(whole, 9) : '';
  const at = type === 200 ? after(whole, 9) : 9;
  const twoPaths = type === 18 || extension === 'posix-rename@openssh.com' || extension === 'hardlink@openssh.com';
  const onePath = [3, 9, 11, 13, 14, 15, 17, 19].includes(type) || /^(statvfs|lsetstat)@/.test(extension);
  if (type === 20) deepStrictEqual(stringAt(whole, after(whole, at)), last?.resolved);
  if (onePath || twoPaths) deepStrictEqual(stringAt(whole, at), last?.resolved);
  if (twoPaths) deepStrictEqual(stringAt(whole, after(whole, at)), last?.targetResolved);
  if (onePath || twoPaths || type === 20) {
    ok(
      last?.fault === undefined && !last?.resolved.startsWith('/secret') && !last?.targetResolved.startsWith('/secret'),
    );
  }
}

async function runClient(bytes: Buffer, cut: (rest: number) => number): Promise<Result> {
  const host: string[] = [];
  let fromGate: Buffer = Buffer.alloc(0);
  let toClient = Buffer.alloc(0);
  let opened = 0;
  const made = parts(
    (sent) => {
      const { packets, rest } = packetsIn(Buffer.concat([fromGate, sent]));
      fromGate = rest;
      for (const whole of packets) {
        checkForwarded(whole, made.judged.at(-1));
        const plain = Buffer.from(whole);
        if (plain.readUInt8(4) !== 1) plain.writeUInt32BE(0, 5);
        host.push(plain.toString('hex'));
        void gate.fromHost(answerOf(whole, opened++));
      }
    },
    (sent) => {
      toClient = Buffer.concat([toClient, sent]);
    },
  );
  const gate = createSftpGate(made.parts);
  for (let at = 0; at < bytes.length; ) {
    const chunk = Buffer.from(bytes.subarray(at, at + Math.max(1, cut(bytes.length - at))));
    at += chunk.length;
    const room = gate.fromClient(chunk);
    if (room !== undefined) await room;
  }
  // A stream that ends within a refused packet is over before its refusal is out.
  await new Promise((resolve) => setImmediate(resolve));
  gate.close();
  const { packets, rest } = packetsIn(toClient);
  deepStrictEqual(rest.length, 0, 'a reply to the client is not whole');
  ok(
    made.permits.every(({ open }) => !open),
    'a permit was forgotten',
  );
  notStrictEqual(made.fault(), 'internal_error');
  return {
    host,
    client: packets.map((whole) => whole.toString('hex')).sort(),
    judged: made.judged,
    transfers: made.transfers,
    outcomes: made.permits.map(({ outcome }) => outcome),
    fault: made.fault(),
  };
}

/** A client's stream: the same is judged, forwarded and answered however it is cut, and nothing else than was judged. */
export async function checkSftpClient(bytes: Buffer, random: Random): Promise<void> {
  const expected = await runClient(bytes, (rest) => rest);
  deepStrictEqual(await runClient(bytes, () => 1), expected);
  deepStrictEqual(await runClient(bytes, () => random(40)), expected);
}

/** Feeds a host's stream to a conversation that has a request of each kind under way, under the ids from 1. */
function runHost(bytes: Buffer, cut: (rest: number) => number): object {
  let toClient = Buffer.alloc(0);
  const own: string[] = [];
  const made = parts(
    () => {},
    (sent) => {
      toClient = Buffer.concat([toClient, sent]);
    },
  );
  const talk = new Conversation(made.parts);
  const permit = () => {
    const one = new FuzzPermit();
    made.permits.push(one);
    return one;
  };
  const file = (of = permit()) => {
    const cap = { bytes: 60, text: 'no' };
    return new OpenFile({ permit: of, path: '/a', resolved: '/a', folder: false, flags: ['read', 'write'], cap });
  };
  /** A file is open under the permit of its open. */
  const opening = (id: number) => {
    const one = permit();
    return { kind: 'open', id, reply: 102, permit: one, opened: () => file(one), changes: false } as const;
  };
  const closing = file();
  const writing = file();
  talk.files.set('writing', writing);
  const common = { changes: false } as const;
  const expectations: Expected<FuzzPermit>[] = [
    { kind: 'own', reply: 104, answer: (whole) => own.push(whole.toString('hex')), ...common },
    opening(101),
    opening(102),
    { kind: 'read', id: 103, reply: 103, file: closing, offset: 0, length: 30, ...common },
    { kind: 'read', id: 104, reply: 103, file: closing, offset: 20, length: 100, ...common },
    { kind: 'write', id: 105, reply: 101, file: writing, ...common },
    { kind: 'once', id: 106, reply: 105, permit: permit(), ...common },
    { kind: 'passed', id: 107, reply: 104, ...common },
    { kind: 'passed', id: 108, reply: 201, ...common },
    { kind: 'close', id: 109, reply: 101, file: closing, ...common },
  ];
  talk.opening = 2;
  for (const expected of expectations) talk.expect(expected);
  talk.version = (whole) => own.push(whole.toString('hex'));
  const replies = new HostReplies(talk);
  const reader = new PacketReader(limits.sftpPacketBytesMax);
  for (let at = 0; at < bytes.length && !talk.closed; ) {
    const chunk = Buffer.from(bytes.subarray(at, at + Math.max(1, cut(bytes.length - at))));
    const read = reader.push(chunk, replies);
    if (typeof read !== 'number') talk.fail(read.code, read.message);
    at += chunk.length;
  }
  talk.flush();
  talk.close();
  ok(
    made.permits.every(({ open }) => !open),
    'a permit was forgotten',
  );
  const { transfers, permits } = made;
  return {
    own,
    transfers,
    fault: made.fault(),
    toClient: toClient.toString('hex'),
    outcomes: permits.map(({ outcome }) => outcome),
  };
}

/** A host's stream: the same is passed on and believed however it is cut. */
export function checkSftpHost(bytes: Buffer, random: Random): void {
  const expected = runHost(bytes, (rest) => rest);
  deepStrictEqual(
    runHost(bytes, () => 1),
    expected,
  );
  deepStrictEqual(
    runHost(bytes, () => random(40)),
    expected,
  );
}
