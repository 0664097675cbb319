import { type FileHandle, open } from 'node:fs/promises';
import { limits } from '../core/limits.ts';
import { isNothing, trailFileAfter } from './file.ts';
import { parseLine } from './line.ts';
import { type AuditFilter, matches } from './query.ts';

/** A line of the trail as it stands in the file, without its newline. */
export interface TrailLine {
  readonly seq: number;
  readonly text: string;
}

/** Reads a trail from a line on, through its files, while it is being written and rotated. */
export class TrailReader {
  readonly #path: string;
  #file: { readonly handle: FileHandle; readonly ino: number } | undefined;
  #offset = 0;
  /** The seq of the last line that was handed out. */
  #seq: number;

  /** @param path - of the file being written; @param afterSeq - the last line that is not wanted; 0 for all */
  constructor(path: string, afterSeq: number) {
    this.#path = path;
    this.#seq = afterSeq;
  }

  /** The seq of the last line that was read. */
  get seq(): number {
    return this.#seq;
  }

  /** The lines that follow, as far as they are written: at most `auditReadBytes`. Empty when there are none. */
  async read(): Promise<TrailLine[]> {
    for (;;) {
      this.#file ??= await this.#open();
      if (this.#file === undefined) return [];
      const lines = await this.#lines(this.#file.handle);
      if (lines.length > 0) return lines;
      if (!(await this.#isLeft(this.#file.ino))) return [];
      // It was put aside; what was written to it until then is read before the next.
      const rest = await this.#lines(this.#file.handle);
      if (rest.length > 0) return rest;
      await this.close();
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#offset = 0;
    await file?.handle.close();
  }

  async #open(): Promise<{ handle: FileHandle; ino: number } | undefined> {
    try {
      for (;;) {
        const name = trailFileAfter(this.#path, this.#seq);
        const handle = await open(name, 'r');
        // Put aside meanwhile, the name may already be that of the next file.
        if (trailFileAfter(this.#path, this.#seq) === name) return { handle, ino: (await handle.stat()).ino };
        await handle.close();
      }
    } catch (error) {
      if (isNothing(error)) return undefined;
      throw error;
    }
  }

  async #isLeft(ino: number): Promise<boolean> {
    const next = await this.#open();
    await next?.handle.close();
    return next !== undefined && next.ino !== ino;
  }

  /** Whole lines from the offset on that were not handed out yet; what is no line of a trail is passed over. */
  async #lines(handle: FileHandle): Promise<TrailLine[]> {
    for (;;) {
      const buffer = Buffer.allocUnsafe(limits.auditReadBytes);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset);
      const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1;
      if (end === 0) {
        if (bytesRead === buffer.length) throw new Error(`${this.#path} has a line longer than ${bytesRead} bytes`);
        return [];
      }
      this.#offset += end;
      const lines = buffer
        .toString('utf8', 0, end - 1)
        .split('\n')
        .flatMap((text): TrailLine[] => {
          const seq = Number(/^\{"seq":(\d{1,16}),/.exec(text)?.[1]);
          return seq > this.#seq ? [{ seq, text }] : [];
        });
      this.#seq = lines.at(-1)?.seq ?? this.#seq;
      if (lines.length > 0) return lines;
    }
  }
}

/**
 * The lines that are added to a trail behind `from`, until the signal aborts.
 * @param wait - settles when it is time to look again
 */
export async function* followAudit(
  path: string,
  {
    from,
    filter,
    signal,
    wait,
  }: { from: number; filter: AuditFilter; signal: AbortSignal; wait: () => Promise<unknown> },
): AsyncGenerator<string> {
  const reader = new TrailReader(path, from);
  try {
    while (!signal.aborted) {
      const lines = await reader.read();
      for (const { text } of lines) {
        const line = parseLine(Buffer.from(text));
        if (line !== undefined && matches(line, filter)) yield text;
      }
      if (lines.length === 0) await wait();
    }
  } finally {
    await reader.close();
  }
}
