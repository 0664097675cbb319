/** What tools were at their first use, in a file: a line of JSON each, only ever added to. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { limits } from '../../core/limits.ts';
import type { FirstUses } from './mcp/index.ts';

/**
 * Reads the file, or begins one. A line that was cut off by a crash was never relied on, and is taken out.
 *
 * @throws Error when there is anything else in it than was written here: what was accepted is then not known
 */
export function openFirstUses(file: string): FirstUses {
  const known = read(file);
  return {
    get: (upstream, tool) => known.get(keyOf(upstream, tool)),
    keep(upstream, tool, sha256) {
      if (known.size >= limits.mcpToolPinsMax) return false;
      try {
        appendFileSync(file, `${JSON.stringify({ upstream, tool, sha256 })}\n`, { mode: 0o600, flush: true });
      } catch {
        return false;
      }
      known.set(keyOf(upstream, tool), sha256);
      return true;
    },
  };
}

function read(file: string): Map<string, string> {
  const known = new Map<string, string>();
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return known;
  }
  if (statSync(file).size > limits.mcpPinFileBytesMax) throw new Error(`${file}: is too large for a file of pins`);
  const bytes = readFileSync(file);
  const whole = bytes.lastIndexOf(0x0a) + 1;
  if (whole < bytes.length) truncateSync(file, whole);
  const lines = bytes.toString('utf8', 0, whole).split('\n').slice(0, -1);
  for (const [index, line] of lines.entries()) {
    const pin = pinOf(line);
    if (pin === undefined) throw new Error(`${file}: line ${index + 1} is no pin of a tool`);
    const key = keyOf(pin.upstream, pin.tool);
    // The first one is what was accepted.
    if (!known.has(key)) known.set(key, pin.sha256);
  }
  return known;
}

function pinOf(line: string): { upstream: string; tool: string; sha256: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { upstream, tool, sha256 } = value as Readonly<Record<string, unknown>>;
  if (typeof upstream !== 'string' || typeof tool !== 'string' || typeof sha256 !== 'string') return undefined;
  return /^[0-9a-f]{64}$/.test(sha256) ? { upstream, tool, sha256 } : undefined;
}

function keyOf(upstream: string, tool: string): string {
  return JSON.stringify([upstream, tool]);
}
