import { createReadStream } from 'node:fs';

/** One line of a file, without its newline. The bytes are only good until the next one is asked for. */
export interface RawLine {
  readonly bytes: Buffer;
  /** Counted from 1. */
  readonly number: number;
  /** False for a last line without a newline. */
  readonly whole: boolean;
}

/**
 * Reads a file line by line in bounded memory.
 * @throws Error when a line is longer than `lineBytesMax`, or the file cannot be read.
 */
export async function* readLines(file: string, lineBytesMax: number): AsyncGenerator<RawLine> {
  let carried: Buffer = Buffer.alloc(0);
  let number = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('expected bytes');
    const data = carried.length === 0 ? chunk : Buffer.concat([carried, chunk]);
    let start = 0;
    // What was carried has no newline in it, so the search starts after it.
    let newline = data.indexOf(10, carried.length);
    while (newline !== -1) {
      number += 1;
      yield { bytes: data.subarray(start, newline), number, whole: true };
      start = newline + 1;
      newline = data.indexOf(10, start);
    }
    carried = data.subarray(start);
    if (carried.length > lineBytesMax) throw new Error(`${file}:${number + 1} is longer than ${lineBytesMax} bytes`);
  }
  if (carried.length > 0) yield { bytes: carried, number: number + 1, whole: false };
}
