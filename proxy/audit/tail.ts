import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { limits } from '../core/limits.ts';
import { rotatedFiles } from './file.ts';
import { type Line, parseLine, parseOpening } from './line.ts';
import { expectedHash, expectedMac, genesisHash, keyId } from './seal.ts';

/** Where a trail stands: what the next line continues. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** A head, and what is left behind it of a line that was cut off (empty when nothing is). */
export interface Tail {
  readonly head: Head;
  readonly torn: Buffer;
  /** The last line is whole and verifies, only its newline is missing. */
  readonly newlineMissing: boolean;
}

const start: Head = { seq: 0, hash: genesisHash };
const none = Buffer.alloc(0);

/**
 * Finds where the trail at `path` stands, from its last lines alone, or from the file before it when this one has no
 * whole line yet.
 * @throws Error when the last line does not verify: another key, or somebody changed it.
 */
export function readTail(path: string, key: Uint8Array): Tail {
  const own = readFileTail(path, key);
  if (own.head !== undefined) return { ...own, head: own.head };
  const before = rotatedFiles(path).at(-1);
  if (before === undefined) return { ...own, head: start };
  const tail = readFileTail(before, key);
  if (tail.head === undefined || tail.torn.length > 0) throw new Error(`${before} does not end with a whole line`);
  return { ...own, head: tail.head };
}

type FileTail = Omit<Tail, 'head'> & { readonly head: Head | undefined };

function readFileTail(path: string, key: Uint8Array): FileTail {
  const data = existsSync(path) ? readEnd(path, 3 * limits.auditLineBytesMax) : Buffer.alloc(0);
  const bodyEnd = data.lastIndexOf(10) + 1;
  const rest = data.subarray(bodyEnd);
  const { last, before } = lastTwo(data.subarray(0, bodyEnd));
  const verified = last === undefined ? undefined : verifyLast(path, key, last, before);
  if (rest.length === 0) return { head: verified, torn: none, newlineMissing: false };
  const finished = parseLine(rest);
  if (finished !== undefined && verifies(key, finished, verified))
    return { head: { seq: finished.seq, hash: finished.hash }, torn: none, newlineMissing: true };
  return { head: verified, torn: rest, newlineMissing: false };
}

function verifies(key: Uint8Array, line: Line, before: Head | undefined): boolean {
  const previous = parseOpening(line)?.previous ?? before;
  if (previous === undefined || expectedHash(previous.hash, line.open) !== line.hash) return false;
  return expectedMac(key, line.hash) === line.mac;
}

function verifyLast(path: string, key: Uint8Array, last: Buffer, before: Buffer | undefined): Head {
  const line = parseLine(last);
  const opening = line === undefined ? undefined : parseOpening(line);
  if (opening !== undefined && opening.keyId !== keyId(key))
    throw new Error(`${path} was written with another audit key (${opening.keyId}, not ${keyId(key)})`);
  const previous = before === undefined ? undefined : parseLine(before);
  if (line !== undefined && verifies(key, line, previous)) return { seq: line.seq, hash: line.hash };
  throw new Error(`the last line of ${path} does not verify: another audit key, or the file was changed`);
}

/** The last two whole lines of what was read from a file's end. */
function lastTwo(body: Buffer): { last: Buffer | undefined; before: Buffer | undefined } {
  if (body.length === 0) return { last: undefined, before: undefined };
  const lastStart = body.subarray(0, -1).lastIndexOf(10) + 1;
  const last = body.subarray(lastStart, -1);
  if (lastStart === 0) return { last, before: undefined };
  const beforeStart = body.subarray(0, lastStart - 1).lastIndexOf(10) + 1;
  return { last, before: body.subarray(beforeStart, lastStart - 1) };
}

function readEnd(path: string, bytesMax: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const buffer = Buffer.alloc(Math.min(size, bytesMax));
    let filled = 0;
    while (filled < buffer.length) {
      const read = readSync(fd, buffer, filled, buffer.length - filled, size - buffer.length + filled);
      if (read === 0) throw new Error(`${path} became shorter while it was read`);
      filled += read;
    }
    return buffer;
  } finally {
    closeSync(fd);
  }
}
