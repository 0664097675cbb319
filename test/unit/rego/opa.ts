import { execFileSync } from 'node:child_process';
import { root } from '../policy/support.ts';

/** The pinned OPA, or `undefined` where it cannot be had. */
export function opaPath(): string | undefined {
  try {
    return execFileSync(`${root}scripts/opa.sh`, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
