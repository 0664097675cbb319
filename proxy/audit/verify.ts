import { createHash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { limits } from '../core/limits.ts';
import { describeError } from './errno.ts';
import { headEvent, isSigned, parseHead } from './head.ts';
import { type Line, type Opening, parseLine, parseOpening, trailClosed } from './line.ts';
import { type RawLine, readLines } from './lines.ts';
import { expectedHash, expectedMac, keyId } from './seal.ts';
import type { Head } from './tail.ts';

/** Where and why a trail does not verify. */
export interface Defect {
  readonly file: string;
  /** Counted from 1. 0 when it is not about a line. */
  readonly line: number;
  readonly kind:
    | 'unreadable'
    | 'malformed'
    | 'other_key'
    | 'altered'
    | 'gap'
    | 'forged_head'
    | 'unsigned'
    | 'head_missing'
    | 'empty';
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
  /** Heads whose signature holds; 0 when no public key was given. */
  readonly heads: number;
  /** Lines behind the last of them: whoever can write the file can have written these. 0 when no public key was given. */
  readonly unsignedLines: number;
}

/** What a trail is verified with. Without a key and a public key only damage shows, not forgery. */
export interface Proof {
  /** The one that seals lines. */
  readonly key?: Uint8Array | undefined;
  /** Ed25519, of all keys that signed heads of this trail. */
  readonly publicKeys?: readonly KeyObject[] | undefined;
  /** A head that was kept somewhere else: it must be in the trail. */
  readonly expected?: Head | undefined;
  /** Where the first line given continues, when it is not an opening. */
  readonly start?: Head | undefined;
}

/**
 * Verifies files of one trail, oldest first, in bounded memory: every line's hash (and MAC, with the key), the order, that
 * nothing is missing between the first and the last one, and with public keys the signature of every head. What is missing
 * behind the last line shows only against `expected`.
 */
export async function verifyAudit(files: readonly string[], proof: Proof): Promise<Verification> {
  const chain = new Chain(proof);
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
  readonly #proof: Proof;
  #expectedSeen = false;
  #heads = 0;
  #unsignedLines = 0;
  #head: Head | undefined;
  #startsAfter = 0;
  #lines = 0;
  #closed = false;
  #tornLines = 0;
  #torn: TornBytes | undefined;
  #finished = true;
  defect: Defect | undefined;

  constructor(proof: Proof) {
    this.#proof = proof;
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
    const { key, publicKeys, start } = this.#proof;
    if (key !== undefined && opening !== undefined && opening.keyId !== keyId(key))
      return { kind: 'other_key', message: `sealed with another key (${opening.keyId}, not ${keyId(key)})` };
    const previous = this.#head ?? opening?.previous ?? start;
    if (previous === undefined) return { kind: 'gap', message: 'the trail does not start with an opening' };
    if (!this.#tornMatches(opening)) return { kind: 'malformed', message: 'names a torn line that is not there' };
    if (opening !== undefined && (opening.previous.seq !== previous.seq || opening.previous.hash !== previous.hash))
      return { kind: 'gap', message: `continues line ${opening.previous.seq}, but the one before is ${previous.seq}` };
    const authentic =
      sameText(expectedHash(previous.hash, line.open), line.hash) &&
      (key === undefined || sameText(expectedMac(key, line.hash), line.mac));
    if (line.seq !== previous.seq + 1)
      return { kind: 'gap', message: `line ${line.seq} follows line ${previous.seq}: removed, repeated or reordered` };
    if (!authentic) return { kind: 'altered', message: 'this line or the one before it was altered' };
    if (publicKeys !== undefined && line.event === headEvent && !attests(line, previous, publicKeys))
      return { kind: 'forged_head', message: 'a head that none of the given keys signed for this place' };
    return undefined;
  }

  #tornMatches(opening: Opening | undefined): boolean {
    const claimed = opening?.torn;
    if (claimed === undefined || this.#torn === undefined) return claimed === undefined && this.#torn === undefined;
    return this.#torn.bytes === claimed.bytes && this.#torn.digest() === claimed.sha256;
  }

  #accept(line: Line, opening: Opening | undefined): void {
    if (this.#head === undefined) this.#startsAfter = opening?.previous.seq ?? this.#proof.start?.seq ?? 0;
    if (this.#torn !== undefined) this.#tornLines += 1;
    this.#torn = undefined;
    this.#head = { seq: line.seq, hash: line.hash };
    // A head may follow the last word.
    if (line.event !== headEvent) this.#closed = line.event === trailClosed;
    this.#countSigned(line);
    this.#lines += 1;
    const { expected } = this.#proof;
    if (expected?.seq === line.seq && expected.hash === line.hash) this.#expectedSeen = true;
  }

  #countSigned(line: Line): void {
    if (this.#proof.publicKeys === undefined) return;
    const isHead = line.event === headEvent;
    this.#heads += isHead ? 1 : 0;
    this.#unsignedLines = isHead ? 0 : this.#unsignedLines + 1;
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
    const { expected, publicKeys } = this.#proof;
    if (expected !== undefined && !this.#expectedSeen)
      this.reject(lastFile, 0, 'head_missing', `line ${expected.seq} with the expected hash is not there: cut short`);
    if (publicKeys !== undefined && (this.#heads === 0 || this.#unsignedLines > limits.auditUnsignedLinesMax))
      this.reject(lastFile, 0, 'unsigned', `no signed head covers the last ${this.#unsignedLines} lines`);
    return {
      ok: this.defect === undefined,
      defect: this.defect,
      lines: this.#lines,
      head: this.#head,
      startsAfter: this.#startsAfter,
      closed: this.#closed && torn === undefined,
      tornLines: this.#tornLines,
      tornTailBytes: this.defect === undefined ? (torn?.bytes ?? 0) : 0,
      heads: this.#heads,
      unsignedLines: this.#unsignedLines,
    };
  }
}

function attests(line: Line, previous: Head, publicKeys: readonly KeyObject[]): boolean {
  const head = parseHead(line.members);
  return head !== undefined && head.seq === previous.seq && head.hash === previous.hash && isSigned(head, publicKeys);
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
