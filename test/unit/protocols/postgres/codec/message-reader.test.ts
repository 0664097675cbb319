import { describe, expect, test } from '@jest/globals';
import {
  type Direction,
  frontend,
  MessageReader,
  type MessageReaderOptions,
  type MessageSink,
  ProtocolFault,
} from '../../../../../proxy/protocols/postgres/codec.ts';
import { clientMessages, upstreamMessages } from './samples.ts';

/** Writes down what it is given, one line a message, putting passed-through ones together again. */
class Notes implements MessageSink {
  readonly seen: string[] = [];
  readonly forwarded: Buffer[] = [];
  stopAfter = Number.POSITIVE_INFINITY;
  #open: Buffer[] | undefined;

  onMessage(type: number, body: Buffer, chunk: Buffer, from: number, to: number): boolean {
    const message = Buffer.from(chunk.subarray(from, to));
    if (!message.subarray(5).equals(body)) throw new Error('the body is not that of the message');
    this.seen.push(line(message, true));
    if (message[0] !== type) throw new Error('the type is not that of the message');
    this.forwarded.push(message);
    return this.seen.length >= this.stopAfter;
  }

  onPassthrough(type: number, chunk: Buffer, from: number, to: number, first: boolean, last: boolean): void {
    const part = Buffer.from(chunk.subarray(from, to));
    if (first !== (this.#open === undefined)) throw new Error('a first part out of place');
    if (first && (part.length < 5 || part[0] !== type)) throw new Error('a first part without its header');
    this.forwarded.push(part);
    this.#open = [...(this.#open ?? []), part];
    if (!last) return;
    this.seen.push(line(Buffer.concat(this.#open), false));
    this.#open = undefined;
  }
}

function line(message: Buffer, inspected: boolean): string {
  return `${inspected ? 'inspected' : 'passed'} ${message.toString('hex')}`;
}

function reader(direction: Direction, options: Partial<MessageReaderOptions> = {}): MessageReader {
  return new MessageReader({
    direction,
    inspect: () => true,
    maxInspectedBytes: () => 10_000,
    maxMessageBytes: 100_000,
    ...options,
  });
}

const samples: [Direction, Readonly<Record<string, Buffer>>][] = [
  ['client', clientMessages],
  ['upstream', upstreamMessages],
];
/** None, all, and some of the types inspected, so that each kind of message follows each other. */
const inspections: [string, (type: number) => boolean][] = [
  ['nothing', () => false],
  ['everything', () => true],
  ['every other type', (type) => type % 2 === 0],
];

describe.each(samples)('a %s stream', (direction, messages) => {
  const all = Object.values(messages);
  const stream = Buffer.concat(all);

  describe.each(inspections)('inspecting %s', (_, inspect) => {
    const expected = all.map((message) => line(message, inspect(message[0] ?? 0))).join('\n');

    test('comes out the same when it is cut in two at any byte', () => {
      for (let cut = 0; cut <= stream.length; cut++) {
        const notes = new Notes();
        const messageReader = reader(direction, { inspect });
        for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
          if (messageReader.push(part, notes) !== part.length) throw new Error(`cut at ${cut}: not all was read`);
        }
        if (notes.seen.join('\n') !== expected)
          expect({ cut, seen: notes.seen.join('\n') }).toEqual({ cut, seen: expected });
        if (!Buffer.concat(notes.forwarded).equals(stream)) throw new Error(`cut at ${cut}: not all was forwarded`);
        if (!messageReader.atBoundary) throw new Error(`cut at ${cut}: left inside a message`);
      }
    });

    test('comes out the same in chunks of any small size', () => {
      for (let size = 1; size <= 16; size++) {
        const notes = new Notes();
        const messageReader = reader(direction, { inspect });
        for (let at = 0; at < stream.length; at += size) messageReader.push(stream.subarray(at, at + size), notes);
        expect(notes.seen.join('\n')).toBe(expected);
      }
    });
  });

  test('lets the sink stop behind any message and go on with the rest', () => {
    for (let stopAfter = 1; stopAfter < all.length; stopAfter++) {
      for (const head of [3, 7, stream.length]) {
        const notes = new Notes();
        notes.stopAfter = stopAfter;
        const messageReader = reader(direction);
        const first = stream.subarray(0, head);
        const chunks = [first, stream.subarray(head)];
        for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
          const consumed = messageReader.push(chunk, notes);
          if (typeof consumed !== 'number') throw new Error(consumed.message);
          if (consumed === chunk.length) continue;
          expect(notes.seen.length).toBe(stopAfter);
          notes.stopAfter = Number.POSITIVE_INFINITY;
          chunks.unshift(chunk.subarray(consumed));
        }
        expect(notes.seen).toEqual(all.map((message) => line(message, true)));
      }
    }
  });

  test('knows that it is inside a message at every byte that is not between two', () => {
    const ends = new Set<number>();
    let at = 0;
    for (const message of all) {
      at += message.length;
      ends.add(at);
    }
    const messageReader = reader(direction, { inspect: (type) => type % 2 === 0 });
    const notes = new Notes();
    for (let byte = 0; byte < stream.length; byte++) {
      messageReader.push(stream.subarray(byte, byte + 1), notes);
      expect(messageReader.atBoundary).toBe(ends.has(byte + 1));
    }
  });

  test('is refused at the first byte that is no message type, and stays refused', () => {
    const known = new Set(all.map((message) => message[0]));
    for (let type = 0; type < 256; type++) {
      if (known.has(type)) continue;
      const messageReader = reader(direction);
      const fault = messageReader.push(Buffer.from([type]), new Notes());
      expect(fault).toBeInstanceOf(ProtocolFault);
      expect(fault).toMatchObject({ code: 'operation_malformed' });
      expect(messageReader.push(stream, new Notes())).toBe(fault);
    }
  });

  test.each([-2_147_483_648, -1, 0, 1, 2, 3])('is refused at a length of %i, however it is cut', (length) => {
    const header = Buffer.from([all[0]?.[0] ?? 0, 0, 0, 0, 0]);
    header.writeInt32BE(length, 1);
    for (let cut = 0; cut < header.length; cut++) {
      for (const inspect of [() => true, () => false]) {
        const messageReader = reader(direction, { inspect });
        const notes = new Notes();
        messageReader.push(header.subarray(0, cut), notes);
        expect(messageReader.push(header.subarray(cut), notes)).toMatchObject({ code: 'operation_malformed' });
        expect(notes.forwarded).toEqual([]);
      }
    }
  });
});

describe('the bounds of a message', () => {
  const big = frontend.query('x'.repeat(500));

  test('a message over the bound of all messages is a fault at its header, before any of it is kept or passed', () => {
    for (const inspect of [() => true, () => false]) {
      const notes = new Notes();
      const messageReader = reader('client', { inspect, maxMessageBytes: big.length - 1 });
      expect(messageReader.push(big.subarray(0, 5), notes)).toMatchObject({ code: 'operation_too_large' });
      expect(notes.forwarded).toEqual([]);
    }
  });

  test('a message exactly at both bounds is read', () => {
    const notes = new Notes();
    const options = { maxInspectedBytes: () => big.length, maxMessageBytes: big.length };
    expect(reader('client', options).push(big, notes)).toBe(big.length);
    expect(notes.seen).toHaveLength(1);
  });

  test('an inspected message over its own bound is a fault unless the sink takes it', () => {
    const options = { maxInspectedBytes: () => big.length - 1 };
    expect(reader('client', options).push(big, new Notes())).toMatchObject({ code: 'operation_too_large' });
  });

  test('an oversize message that the sink takes is skipped wherever it is cut, and the next one is read', () => {
    const next = frontend.sync();
    const stream = Buffer.concat([big, next]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const told: number[] = [];
      const notes = Object.assign(new Notes(), { onOversize: (_: number, bytes: number) => told.push(bytes) > 0 });
      const messageReader = reader('client', { maxInspectedBytes: () => 100 });
      for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) messageReader.push(part, notes);
      expect(told).toEqual([big.length]);
      expect(notes.seen).toEqual([line(next, true)]);
    }
  });

  test('a claimed length reserves no memory', () => {
    const header = Buffer.from([0x51, 0x3f, 0xff, 0xff, 0x00]);
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 50 }, () => {
      const messageReader = reader('client', { maxInspectedBytes: () => 2 ** 30, maxMessageBytes: 2 ** 30 });
      messageReader.push(header, new Notes());
      return messageReader;
    });
    expect(readers.some((messageReader) => messageReader.atBoundary)).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});
