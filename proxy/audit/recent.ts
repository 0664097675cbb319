import { open } from 'node:fs/promises';
import { limits } from '../core/limits.ts';
import type { JsonObject } from '../core/types.ts';
import { trailFiles } from './file.ts';
import { isObject, parseLine } from './line.ts';
import { type AuditFilter, matches } from './query.ts';

/**
 * The last lines of a trail that match, the newest first. Looks through the end of its newest files, at most
 * `limits.consoleTrailBytesMax` in all: for what is older there is `queryAudit`. Nothing is verified.
 *
 * @param options - `before`: only lines before this one, by `seq`; `own`: what the gateway asked for itself, too
 */
export async function recentAudit(
  file: string,
  filter: AuditFilter,
  options: { readonly limit: number; readonly before?: number | undefined; readonly own: boolean },
): Promise<readonly JsonObject[]> {
  const { limit, before = Number.POSITIVE_INFINITY, own } = options;
  const found: JsonObject[] = [];
  let left = limits.consoleTrailBytesMax;
  for (const one of trailFiles(file).toReversed()) {
    const text = await readEnd(one, left);
    left -= text.length;
    for (const bytes of linesOf(text).toReversed()) {
      const line = parseLine(bytes);
      if (line === undefined || line.seq >= before || !matches(line, filter)) continue;
      if (!own && isObject(line.members.subject) && line.members.subject.type === 'gateway') continue;
      const { mac: _mac, ...members } = line.members;
      found.push(members);
      if (found.length >= limit) return found;
    }
    if (left <= 0) break;
  }
  return found;
}

async function readEnd(file: string, bytesMax: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, bytesMax);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const bytes = buffer.subarray(0, bytesRead);
    // The first line may have lost its beginning.
    return length < size ? bytes.subarray(bytes.indexOf(10) + 1) : bytes;
  } finally {
    await handle.close();
  }
}

/** Whole lines; the last may still be on its way. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}
