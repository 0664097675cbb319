import { describe, expect, test } from '@jest/globals';
import { PacketReader, type PacketSink } from '../../../../../proxy/protocols/ssh/sftp/codec.ts';
import { init, pkt, request, str, u32, u64, withId } from './requests.ts';

const handle = Buffer.from([0, 0, 0, 7]);
const stream = Buffer.concat([
  init,
  withId(1, request.open('/a/b', 1)),
  withId(2, request.write(handle, 0, 'some content')),
  withId(3, request.write(handle, 12, Buffer.alloc(700, 'x'))),
  withId(4, request.write(handle, 712, '')),
  withId(5, request.stat('')),
  pkt(99, u32(6)),
  withId(7, request.close(handle)),
]);
const packets = (bytes: Buffer): string[] => {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at) + 4)
    found.push(bytes.toString('hex', at, at + bytes.readUInt32BE(at) + 4));
  return found;
};

/** Puts packets together again, and holds the reader to what it promises. */
class Notes implements PacketSink {
  readonly found: string[] = [];
  readonly prefix: (type: number) => number;
  asked = 0;
  #open: Buffer[] = [];
  #total = 0;

  constructor(prefix: (type: number) => number) {
    this.prefix = prefix;
  }

  prefixBytes(type: number): number {
    this.asked++;
    return this.prefix(type);
  }

  onPacket(type: number, id: number, total: number, chunk: Buffer, from: number, to: number): boolean {
    if (this.#open.length > 0) throw new Error('a packet began within another');
    if (to - from < Math.min(total, Math.max(9, this.prefix(type)))) throw new Error('a prefix is not whole');
    if (chunk[from + 4] !== type || chunk.readUInt32BE(from + 5) !== id) throw new Error('not what its header says');
    this.#total = total;
    this.#add(chunk, from, to, to - from === total);
    return false;
  }

  onPart(chunk: Buffer, from: number, to: number, last: boolean): boolean {
    this.#add(chunk, from, to, last);
    return false;
  }

  #add(chunk: Buffer, from: number, to: number, last: boolean): void {
    this.#open.push(Buffer.from(chunk.subarray(from, to)));
    if (!last) return;
    const whole = Buffer.concat(this.#open);
    if (whole.length !== this.#total) throw new Error('not as long as its header says');
    this.found.push(whole.toString('hex'));
    this.#open = [];
  }
}

describe('packets are found the same however the stream is cut', () => {
  const prefixes: [string, (type: number) => number][] = [
    ['nothing but headers', () => 0],
    ['whole packets', () => 10_000],
    ['the beginning of a WRITE', (type) => (type === 6 ? 281 : 10_000)],
    ['13 bytes', () => 13],
  ];

  test.each(prefixes)('collecting %s', (_, prefix) => {
    for (let first = 0; first <= stream.length; first++) {
      const notes = new Notes(prefix);
      const reader = new PacketReader(1_000);
      reader.push(stream.subarray(0, first), notes);
      reader.push(stream.subarray(first), notes);
      expect(notes.found).toEqual(packets(stream));
      expect(notes.asked).toBe(notes.found.length);
      expect(reader.atBoundary).toBe(true);
    }
  });

  test.each(prefixes)('collecting %s, byte for byte', (_, prefix) => {
    const notes = new Notes(prefix);
    const reader = new PacketReader(1_000);
    for (const byte of stream) reader.push(Buffer.from([byte]), notes);
    expect(notes.found).toEqual(packets(stream));
  });
});

test('content is handed on as the chunk that it came in', () => {
  const data = Buffer.alloc(900, 'y');
  const chunk = withId(1, request.write(handle, 0, data));
  const parts: Buffer[] = [];
  const sink: PacketSink = {
    prefixBytes: () => 281,
    onPacket: (_type, _id, _total, bytes) => {
      parts.push(bytes);
      return false;
    },
    onPart: (bytes) => {
      parts.push(bytes);
      return false;
    },
  };
  const reader = new PacketReader(1_000);
  const [head, tail] = [chunk.subarray(0, 500), chunk.subarray(500)];
  reader.push(head, sink);
  reader.push(tail, sink);
  expect(parts[0]).toBe(head);
  expect(parts[1]).toBe(tail);
});

test('a sink can stop the reader behind a packet', () => {
  const reader = new PacketReader(1_000);
  const seen: number[] = [];
  const sink: PacketSink = {
    prefixBytes: () => 1_000,
    onPacket: (_type, id) => {
      seen.push(id);
      return id === 1;
    },
    onPart: () => false,
  };
  const bytes = Buffer.concat([withId(1, request.stat('/')), withId(2, request.stat('/'))]);
  const read = reader.push(bytes, sink);
  expect([read, seen]).toEqual([withId(1, request.stat('/')).length, [1]]);
  reader.push(bytes.subarray(Number(read)), sink);
  expect(seen).toEqual([1, 2]);
});

describe('impossible lengths are a fault, and so is everything after', () => {
  const sink: PacketSink = { prefixBytes: () => 0, onPacket: () => false, onPart: () => false };

  test.each([
    ['0', 0, 'operation_malformed'],
    ['4, which has no id', 4, 'operation_malformed'],
    ['one over the bound', 1_001, 'operation_too_large'],
    ['2³¹', 2 ** 31, 'operation_too_large'],
    ['2³²-1', 2 ** 32 - 1, 'operation_too_large'],
  ])('%s', (_, length, code) => {
    const bytes = Buffer.concat([u32(length), Buffer.alloc(12, 1)]);
    for (let first = 0; first <= bytes.length; first++) {
      const reader = new PacketReader(1_000);
      const results = [reader.push(bytes.subarray(0, first), sink), reader.push(bytes.subarray(first), sink)];
      expect(results.at(-1)).toMatchObject({ code });
      expect(reader.push(init, sink)).toMatchObject({ code });
    }
  });

  test('the bound itself is not', () => {
    const reader = new PacketReader(1_000);
    const bytes = pkt(6, Buffer.alloc(999));
    expect(reader.push(bytes, sink)).toBe(bytes.length);
  });
});

test('golden: a WRITE is what the specification says', () => {
  expect(withId(258, request.write(handle, 4_294_967_297, 'hi')).toString('hex')).toBe(
    '0000001b' + '06' + '00000102' + '00000004' + '00000007' + '0000000100000001' + '00000002' + '6869',
  );
  expect(pkt(6, u32(258), str(handle), u64(4_294_967_297), str('hi')).length).toBe(31);
});
