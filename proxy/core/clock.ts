import { randomBytes } from 'node:crypto';
import type { Clock, Ids } from './ports.ts';

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Session ids as ULIDs: 48 bits of time, 80 of randomness, in Crockford's base 32.
 * @see https://github.com/ulid/spec
 */
export function ulids(clock: Clock, random: (size: number) => Uint8Array = randomBytes): Ids {
  return {
    session() {
      let bits = BigInt(clock.nowMs());
      for (const byte of random(10)) bits = (bits << 8n) | BigInt(byte);
      let text = '';
      for (let digit = 0; digit < 26; digit++) {
        text = crockford[Number(bits & 31n)] + text;
        bits >>= 5n;
      }
      return text;
    },
  };
}
