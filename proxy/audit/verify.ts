import { createHash, timingSafeEqual } from 'node:crypto';
import { limits } from '../core/limits.ts';
import { describeError } from './errno.ts';
import { type Line, type Opening, parseLine, parseOpening, trailClosed } from './line.ts';
import { type RawLine, readLines } from './lines.ts';
import { expectedMac, keyId } from './seal.ts';
import type { Head } from './tail.ts';

/** Where and why a trail does not verify. */
export interface Defect {
  readonly file: string;
  /** Counted from 1. 0 when it is not about a line. */
  readonly line: number;
  readonly kind: 'unreadable' | 'malformed' | 'other_key' | 'altered' | 'gap' | 'head_missing' | 'empty';
  readonly message: string;
}

/** What a verification found. `ok` is all that the chain can prove; the rest is for a person to weigh. */
export interface Verification {
  readonly ok: boolean;
  /** The first defect; verification stops there. */
  readonly defect: Defect | undefined;
  readonly lines: number;
  /** The last line that verified. */
  readonly head: Head | undefined;
  /** The trail starts after this line: earlier files were not given. 0 when it is there from its beginning. */
  readonly startsAfter: number;
  /** The last line says that the trail was closed on purpose. Otherwise: still open, crashed, or cut short. */
  readonly closed: boolean;
  /** Fragments that crashes left, each named by the line behind it. */
  readonly tornLines: number;
  /** Bytes of a cut-off last line: nothing proves them. */
  readonly tornTailBytes: number;
}

/**
 * Verifies files of one trail, oldest first, in bounded memory: every line's MAC, the order, and that nothing is
 * missing between the first and the last one. What is missing behind the last line shows only against `expected`, a
 * head kept somewhere else.
 */
export async function verifyAudit(files: readonly string[], key: Uint8Array, expected?: Head): Promise<Verification> {
  const chain = new Chain(key, expected);
  for (const file of files) {
    try {
      for await (const line of readLines(file, limits.auditLineBytesMax)) if (!chain.check(file, line)) break;
    } catch (error) {
      chain.reject(file, 0, 'unreadable', describeError(error));
    }
    if (chain.defect !== undefined) break;
  }
  return chain.finish(files.at(-1) ?? '');
}

class Chain {
  readonly #key: Uint8Array;
  readonly #expected: Head | undefined;
  #expectedSeen = false;
  #head: Head | undefined;
  #startsAfter = 0;
  #lines = 0;
  #closed = false;
  #tornLines = 0;
  #torn: TornBytes | undefined;
  #finished = true;
  defect: Defect | undefined;

  constructor(key: Uint8Array, expected: Head | undefined) {
    this.#key = key;
    this.#expected = expected;
  }

  /** @returns false once the trail is known not to verify */
  check(file: string, raw: RawLine): boolean {
    const line = parseLine(raw.bytes);
    this.#finished = raw.whole;
    if (line === undefined) {
      // Only right if the next opening names it, or nothing follows.
      this.#torn ??= new TornBytes(file, raw.number);
      this.#torn.add(raw.bytes);
      return true;
    }
    const opening = parseOpening(line);
    const problem = this.#examine(line, opening);
    if (problem !== undefined) {
      const torn = this.#torn;
      if (torn !== undefined) this.reject(torn.file, torn.line, 'malformed', 'not a line of a trail');
      else this.reject(file, raw.number, problem.kind, problem.message);
      return false;
    }
    this.#accept(line, opening);
    return true;
  }

  #examine(line: Line, opening: Opening | undefined): Pick<Defect, 'kind' | 'message'> | undefined {
    if (opening !== undefined && opening.keyId !== keyId(this.#key))
      return { kind: 'other_key', message: `sealed with another key (${opening.keyId}, not ${keyId(this.#key)})` };
    const previous = this.#head ?? opening?.previous;
    if (previous === undefined) return { kind: 'gap', message: 'the trail does not start with an opening' };
    if (!this.#tornMatches(opening)) return { kind: 'malformed', message: 'names a torn line that is not there' };
    if (opening !== undefined && (opening.previous.seq !== previous.seq || opening.previous.mac !== previous.mac))
      return { kind: 'gap', message: `continues line ${opening.previous.seq}, but the one before is ${previous.seq}` };
    const authentic = sameText(expectedMac(this.#key, previous.mac, line.open), line.mac);
    if (line.seq !== previous.seq + 1)
      return { kind: 'gap', message: `line ${line.seq} follows line ${previous.seq}: removed, repeated or reordered` };
    if (!authentic) return { kind: 'altered', message: 'this line or the one before it was altered' };
    return undefined;
  }

  #tornMatches(opening: Opening | undefined): boolean {
    const claimed = opening?.torn;
    if (claimed === undefined || this.#torn === undefined) return claimed === undefined && this.#torn === undefined;
    return this.#torn.bytes === claimed.bytes && this.#torn.digest() === claimed.sha256;
  }

  #accept(line: Line, opening: Opening | undefined): void {
    if (this.#head === undefined) this.#startsAfter = opening?.previous.seq ?? 0;
    if (this.#torn !== undefined) this.#tornLines += 1;
    this.#torn = undefined;
    this.#head = { seq: line.seq, mac: line.mac };
    this.#closed = line.event === trailClosed;
    this.#lines += 1;
    if (this.#expected?.seq === line.seq && this.#expected.mac === line.mac) this.#expectedSeen = true;
  }

  reject(file: string, line: number, kind: Defect['kind'], message: string): void {
    this.defect ??= { file, line, kind, message };
  }

  finish(lastFile: string): Verification {
    const torn = this.#torn;
    // Only a single piece without an end can be a write that was cut off; anything more was put there.
    if (torn !== undefined && (this.#finished || torn.pieces > 1))
      this.reject(torn.file, torn.line, 'malformed', 'not a line of a trail');
    if (this.#lines === 0) this.reject(lastFile, 0, 'empty', 'there is no line that verifies');
    if (this.#expected !== undefined && !this.#expectedSeen)
      this.reject(
        lastFile,
        0,
        'head_missing',
        `line ${this.#expected.seq} with the expected mac is not there: cut short`,
      );
    return {
      ok: this.defect === undefined,
      defect: this.defect,
      lines: this.#lines,
      head: this.#head,
      startsAfter: this.#startsAfter,
      closed: this.#closed && torn === undefined,
      tornLines: this.#tornLines,
      tornTailBytes: this.defect === undefined ? (torn?.bytes ?? 0) : 0,
    };
  }
}

/** Bytes that are no line, hashed as they pass by, with the newlines between them but not the last. */
class TornBytes {
  readonly file: string;
  readonly line: number;
  readonly #hash = createHash('sha256');
  bytes = 0;
  pieces = 0;

  constructor(file: string, line: number) {
    this.file = file;
    this.line = line;
  }

  add(bytes: Uint8Array): void {
    if (this.pieces > 0) this.#hash.update('\n');
    this.bytes += bytes.length + (this.pieces > 0 ? 1 : 0);
    this.pieces += 1;
    this.#hash.update(bytes);
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}

function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
