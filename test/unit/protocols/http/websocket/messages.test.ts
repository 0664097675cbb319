import { describe, expect, test } from '@jest/globals';
import { FrameFault, writeClose } from '../../../../../proxy/protocols/http/websocket/close.ts';
import { writeFrame } from '../../../../../proxy/protocols/http/websocket/frames.ts';
import { MessageReader } from '../../../../../proxy/protocols/http/websocket/messages.ts';
import { closing, frame } from './wire.ts';

const bytesMax = 70_000;

/** What is read, and the code of the fault it ends in. */
function read(bytes: Buffer, masked = false, size = Math.max(bytes.length, 1)): readonly unknown[] {
  const reader = new MessageReader(masked, bytesMax);
  const said: unknown[] = [];
  try {
    for (let at = 0; at < bytes.length; at += size) {
      for (const { kind, ...rest } of reader.push(bytes.subarray(at, at + size))) {
        const code = 'closeCode' in rest ? rest.closeCode : undefined;
        said.push([kind, ('payload' in rest ? rest.payload : rest.reason).toString(), ...(code ? [code] : [])]);
      }
    }
  } catch (error) {
    if (!(error instanceof FrameFault)) throw error;
    said.push(error.closeCode);
  }
  return said;
}

describe('messages', () => {
  const stream = (masked: boolean) =>
    Buffer.concat([
      frame({ opcode: 1, payload: 'héllo', masked }),
      frame({ opcode: 1, payload: 'one ', final: false, masked }),
      frame({ opcode: 9, payload: 'still?', masked }),
      // Cut inside of a character, with nothing in between.
      frame({ opcode: 0, payload: Buffer.from('é').subarray(0, 1), final: false, masked }),
      frame({ opcode: 0, final: false, masked }),
      frame({ opcode: 10, masked }),
      frame({ opcode: 0, payload: Buffer.from('é').subarray(1), masked }),
      frame({ opcode: 2, payload: 'x'.repeat(200), masked }),
      frame({ opcode: 1, masked }),
      frame({ opcode: 8, payload: closing(4000, 'dône'), masked }),
      frame({ opcode: 1, payload: 'behind the end', masked }),
    ]);
  const said = [
    ['text', 'héllo'],
    ['ping', 'still?'],
    ['pong', ''],
    ['text', 'one é'],
    ['binary', 'x'.repeat(200)],
    ['text', ''],
    ['close', 'dône', 4000],
  ];

  test.each([true, false])('are the same however their bytes were cut (masked: %s)', (masked) => {
    const bytes = stream(masked);
    for (let size = 1; size <= bytes.length; size++) expect(read(bytes, masked, size)).toEqual(said);
  });

  test.each([0, 1, 125, 126, 127, 65_535, 65_536])('of %d bytes are read as they were written', (length) => {
    const payload = Buffer.alloc(length, 'a');
    const key = Buffer.from([1, 2, 3, 255]);
    expect(read(Buffer.concat(writeFrame(2, payload)))).toEqual([['binary', payload.toString()]]);
    expect(read(Buffer.concat(writeFrame(2, payload, key)), true)).toEqual([['binary', payload.toString()]]);
    expect(Buffer.concat(writeFrame(2, payload))).toEqual(frame({ opcode: 2, payload }));
    expect(payload.every((byte) => byte === 0x61)).toBe(true);
  });

  test('follow the examples of RFC 6455 section 5.7', () => {
    const hello = 'Hello';
    expect(read(Buffer.from('810548656c6c6f', 'hex'))).toEqual([['text', hello]]);
    expect(read(Buffer.from('818537fa213d7f9f4d5158', 'hex'), true)).toEqual([['text', hello]]);
    expect(read(Buffer.from('010348656c80026c6f', 'hex'))).toEqual([['text', hello]]);
    expect(read(Buffer.from('890548656c6c6f', 'hex'))).toEqual([['ping', hello]]);
    expect(read(Buffer.from('8a8537fa213d7f9f4d5158', 'hex'), true)).toEqual([['pong', hello]]);
  });
});

describe('a fault', () => {
  const text = { opcode: 1, payload: 'a' };
  test.each([
    ['a reserved bit, as of a compressed message', { ...text, reserved: 4 }, 1002],
    ['the second reserved bit', { ...text, reserved: 2 }, 1002],
    ['the third reserved bit', { ...text, reserved: 1 }, 1002],
    ['a data opcode that is not known', { opcode: 3 }, 1002],
    ['a control opcode that is not known', { opcode: 11 }, 1002],
    ['a masked frame of a server', { ...text, masked: true }, 1002],
    ['a length in two bytes that fits into none', { ...text, payload: 'a'.repeat(125), lengthBytes: 2 }, 1002],
    ['a length in eight bytes that fits into two', { ...text, payload: 'a'.repeat(65_535), lengthBytes: 8 }, 1002],
    ['a ping in parts', { opcode: 9, final: false }, 1002],
    ['a ping of 126 bytes', { opcode: 9, payload: 'a'.repeat(126) }, 1002],
    ['a continuation of nothing', { opcode: 0, payload: 'a' }, 1002],
    ['a text that is not UTF-8', { opcode: 1, payload: Buffer.from([0xc3, 0x28]) }, 1007],
    ['a text that ends inside a character', { opcode: 1, payload: Buffer.from([0xc3]) }, 1007],
    ['a text with a surrogate', { opcode: 1, payload: Buffer.from([0xed, 0xa0, 0x80]) }, 1007],
    ['a message past the bound', { opcode: 1, payload: 'a'.repeat(bytesMax + 1) }, 1009],
    ['a close of one byte', { opcode: 8, payload: 'a' }, 1002],
    ['a close with a code that is not to be sent', { opcode: 8, payload: closing(1005) }, 1002],
    ['a close with a code that nobody defined', { opcode: 8, payload: closing(1015) }, 1002],
    ['a close with a code past the last', { opcode: 8, payload: closing(5000) }, 1002],
    ['a close with a code before the first', { opcode: 8, payload: closing(999) }, 1002],
    ['a close whose reason is not UTF-8', { opcode: 8, payload: closing(1000, Buffer.from([0xff])) }, 1007],
  ] as const)('is %s, wherever it is cut, and what came before is read', (_what, hostile, code) => {
    const bytes = Buffer.concat([frame({ opcode: 1, payload: 'before' }), frame(hostile)]);
    for (let size = 1; size <= Math.min(bytes.length, 300); size++) {
      expect(read(bytes, false, size)).toEqual([['text', 'before'], code]);
    }
  });

  test('is a frame of a client that is not masked', () => {
    expect(read(frame(text), true)).toEqual([1002]);
  });

  test('is a message that begins inside another', () => {
    expect(read(Buffer.concat([frame({ ...text, final: false }), frame(text)]))).toEqual([1002]);
  });

  test('is a message of many parts past the bound, before the last has come', () => {
    const part = { payload: 'a'.repeat(bytesMax / 2), final: false };
    const parts = [frame({ ...part, opcode: 1 }), frame({ ...part, opcode: 0 }), frame({ opcode: 0, payload: 'a' })];
    expect(read(Buffer.concat(parts))).toEqual([1009]);
  });

  test('is a length past the bound by the header alone, up to the largest that can be written', () => {
    expect(read(Buffer.from('827fffffffffffffffff', 'hex'))).toEqual([1009]);
    expect(read(Buffer.from('827f0000000000011171', 'hex'))).toEqual([1009]);
    expect(read(Buffer.from('827f0000000000011170', 'hex'))).toEqual([]);
  });
});

describe('a close', () => {
  test('may say nothing', () => {
    expect(read(frame({ opcode: 8 }))).toEqual([['close', '']]);
    expect(writeClose({ closeCode: undefined, reason: Buffer.from('lost') })).toHaveLength(0);
  });

  test('that is too long is cut between two characters', () => {
    const payload = writeClose({ closeCode: 1008, reason: Buffer.from(`${'a'.repeat(122)}é`) });
    expect(payload).toEqual(closing(1008, 'a'.repeat(122)));
    expect(writeClose({ closeCode: 1008, reason: Buffer.from(`${'a'.repeat(121)}é`) })).toHaveLength(125);
  });
});
