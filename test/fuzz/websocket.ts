/** What must hold for any bytes that either side of a WebSocket can send. Each check throws when it does not. */

import { deepStrictEqual, ok } from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { FrameFault, writeClose } from '../../proxy/protocols/http/websocket/close.ts';
import { opcodes, writeFrame } from '../../proxy/protocols/http/websocket/frames.ts';
import { MessageReader, type Said } from '../../proxy/protocols/http/websocket/messages.ts';
import type { Random } from './mutate.ts';

const bytesMax = 4_096;

interface Result {
  readonly said: readonly Said[];
  readonly fault: number;
}

function read(isClient: boolean, bytes: Buffer, cut: (rest: number) => number): Result {
  const reader = new MessageReader(isClient, bytesMax);
  const said: Said[] = [];
  try {
    for (let at = 0; at < bytes.length; ) {
      const next = at + Math.max(1, cut(bytes.length - at));
      for (const one of reader.push(bytes.subarray(at, next))) said.push(one);
      at = next;
    }
  } catch (error) {
    if (!(error instanceof FrameFault)) throw error;
    return { said, fault: error.closeCode };
  }
  return { said, fault: 0 };
}

/** The same messages however they are cut, within their bounds, and the same again when the gateway has written them. */
export function checkFrames(isClient: boolean, bytes: Buffer, random: Random): void {
  const whole = read(isClient, bytes, (rest) => rest);
  deepStrictEqual(
    read(isClient, bytes, () => 1),
    whole,
  );
  deepStrictEqual(
    read(isClient, bytes, () => random(40)),
    whole,
  );
  const key = isClient ? Buffer.from([random(256), random(256), random(256), random(256)]) : undefined;
  const written = whole.said.flatMap((one) => {
    if (one.kind === 'close') return writeFrame(opcodes.close, writeClose(one), key);
    ok(one.payload.length <= (one.kind === 'ping' || one.kind === 'pong' ? 125 : bytesMax), 'a bound is passed');
    ok(one.kind !== 'text' || isUtf8(one.payload), 'a text is not UTF-8');
    return writeFrame(opcodes[one.kind], one.payload, key);
  });
  deepStrictEqual(
    read(isClient, Buffer.concat(written), (rest) => rest),
    { said: whole.said, fault: 0 },
  );
}
