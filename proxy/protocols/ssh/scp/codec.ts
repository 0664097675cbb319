/**
 * The lines of the scp protocol: bytes in, values out, no I/O. Nobody has specified it; what OpenSSH's scp.c writes and
 * reads is what it is.
 *
 * @see https://github.com/openssh/openssh-portable/blob/V_9_2_P1/scp.c
 */
import type { Fault } from '../../../core/types.ts';

/** What a source says, one line each. */
export type ScpControl =
  | { readonly kind: 'file'; readonly mode: number; readonly bytes: number; readonly name: string }
  | { readonly kind: 'folder'; readonly mode: number; readonly name: string }
  | { readonly kind: 'end' }
  | { readonly kind: 'times' };

/** What one side says about what the other did: done, not done, or that it gives up. */
export type ScpAnswer = 'ok' | 'error' | 'fatal';

/** The answer that begins with this byte; undefined for any other, which scp takes for the output of a shell. */
export function answerOf(byte: number): ScpAnswer | undefined {
  return answers[byte];
}

const answers: readonly ScpAnswer[] = ['ok', 'error', 'fatal'];
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const nameBytesMax = 255;

/** Reads one control line, without its line feed. Accepts what scp writes and nothing else. */
export function parseControl(line: Buffer, fileBytesMax: number): ScpControl | Fault {
  let text: string;
  try {
    text = decoder.decode(line);
  } catch {
    return malformed('A line of scp is not UTF-8.');
  }
  if (text === 'E') return { kind: 'end' };
  // Seconds and microseconds of the last change, then of the last access.
  if (/^T\d{1,20} \d{1,6} \d{1,20} \d{1,6}$/.test(text)) return { kind: 'times' };
  const parts = /^([CD])([0-7]{4}) (\d{1,20}) ([\s\S]*)$/.exec(text);
  if (parts === null) return malformed('A line of scp is none that it has.');
  const [, letter = '', mode = '', size = '', name = ''] = parts;
  if (!isName(name)) return malformed('A file of scp has a name that no file in a folder has.');
  if (letter === 'D') {
    return Number(size) === 0
      ? { kind: 'folder', mode: Number.parseInt(mode, 8), name }
      : malformed('A folder of scp has a size.');
  }
  const bytes = Number(size);
  if (bytes > fileBytesMax) return { code: 'operation_too_large', message: 'A file of scp is larger than any is.' };
  return { kind: 'file', mode: Number.parseInt(mode, 8), bytes, name };
}

/** One name in a folder, which does not lead out of it, and which shows on a terminal as what it is. */
function isName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) return false;
  return !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name) && Buffer.byteLength(name) <= nameBytesMax;
}

function malformed(message: string): Fault {
  return { code: 'operation_malformed', message };
}

/** Collects a line that comes in pieces. Its line feed is not part of it. */
export class LineReader {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** A line of more than `bytesMax` bytes is a fault. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** True between two lines. */
  get empty(): boolean {
    return this.#bytes === 0;
  }

  /** Reads from `at`. Returns where it stopped and the line, if it ended there; or the fault of a line over the bound. */
  read(chunk: Buffer, at: number): { readonly to: number; readonly line: Buffer | undefined } | Fault {
    const feed = chunk.indexOf(0x0a, at);
    const end = feed < 0 ? chunk.length : feed;
    this.#bytes += end - at;
    if (this.#bytes > this.#bytesMax) return { code: 'operation_too_large', message: 'A line of scp is too long.' };
    // A copy: the chunk may be anybody's once it was handed on.
    if (end > at) this.#pieces.push(Buffer.from(chunk.subarray(at, end)));
    if (feed < 0) return { to: end, line: undefined };
    const line = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    return { to: feed + 1, line };
  }
}
