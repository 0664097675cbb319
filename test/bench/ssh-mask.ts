/** What masking the output of commands costs: all detectors over log-like text, against copying the same chunks. */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../../proxy/core/clock.ts';
import { detectors } from '../../proxy/core/detectors.ts';
import { type CompiledMask, createByteMasker } from '../../proxy/core/masker.ts';
import { interleave, median, ratio, rounded } from './measure.ts';

const chunkBytes = 32 * 1024;
const totalBytes = 16 * 1024 * 1024;
const rounds = 9;

/**
 * Measures the throughput of a stream with a masker in it and of one without, in turn.
 *
 * @returns `ssh_mask_mb_s` and `ssh_copy_mb_s` (medians), and `ssh_mask_vs_copy` (the median of their ratio within a round)
 */
export async function maskFigures(): Promise<{
  readonly ssh_mask_mb_s: number;
  readonly ssh_copy_mb_s: number;
  readonly ssh_mask_vs_copy: number;
}> {
  const log = chunksOf(logText());
  await through(log, masked);
  const { mask, copy } = await interleave(
    { mask: () => through(log, masked), copy: () => through(log, copied) },
    rounds,
  );
  return {
    ssh_mask_mb_s: rounded(median(mask)),
    ssh_copy_mb_s: rounded(median(copy)),
    ssh_mask_vs_copy: rounded(ratio(mask, copy)),
  };
}

type Step = (chunks: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;

/** Megabytes a second from one end of a pipeline to the other. */
async function through(chunks: readonly Buffer[], step: Step): Promise<number> {
  const nowhere = new Writable({ write: (_, __, done) => done() });
  const startedMs = performance.now();
  await pipeline(Readable.from(chunks), step, nowhere);
  return (chunks.length * chunkBytes) / (performance.now() - startedMs) / 1_000;
}

async function* copied(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}

const hidden: CompiledMask = { kind: 'constant', value: '***' };

async function* masked(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const masks = new Map(Array.from(detectors.keys(), (name) => [name, hidden]));
  const made = createByteMasker(masks, { clock: systemClock });
  if ('error' in made) throw new Error(made.error);
  for await (const chunk of chunks) yield* made.masker.push(chunk);
  yield* made.masker.finish();
}

function chunksOf(text: string): readonly Buffer[] {
  const bytes = Buffer.from(text.repeat(Math.ceil(totalBytes / text.length)));
  return Array.from({ length: totalBytes / chunkBytes }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
}

/** Lines of a service's log; about one in fifty has something to mask. */
function logText(): string {
  const words =
    'request completed connection pool worker started GET /api/v1/orders status timeout retry cache miss'.split(' ');
  const word = (index: number): string => words[(index * 7) % words.length] ?? '';
  let text = '';
  for (let line = 0; line < 10_000; line++) {
    const minute = 10 + (line % 50);
    text += `2026-11-27T21:${minute}:${10 + (line % 49)}.${100 + (line % 900)}Z INFO [worker-${line % 16}] ${word(line)} `;
    text += `${word(line + 3)} ${word(line + 5)} id=${(line * 7919).toString(16)} duration_ms=${line % 5000} ${word(line + 1)}\n`;
    if (line % 50 === 0)
      text += `login of user${line}@example.com from 10.20.30.${line % 250}, token=${'k9'.repeat(12)}\n`;
  }
  return text;
}
