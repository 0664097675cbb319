/** Two streams made one: for what is inside a tunnel that nobody reads. */
import { createHash, type Hash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Permit } from './permit.ts';
import type { SessionHandle } from './ports.ts';
import type { JsonObject, Outcome } from './types.ts';

/** A permitted tunnel. */
export interface Splice {
  readonly session: SessionHandle;
  /** `maxBytes` bounds what comes back; both may be `Infinity`. */
  readonly permit: Permit<{ readonly timeoutMs: number; readonly maxBytes: number }>;
  readonly client: Duplex;
  readonly remote: Duplex;
  /** Where it leads, for the recording. */
  readonly destination: JsonObject;
  /**
   * Looks at what the client sends before it goes on: returns what may go on now, which may be less or nothing.
   * Throwing ends the tunnel, with `inspection_refused` as its outcome; too many bytes end it with `limit_reached`.
   */
  readonly inspect?: ((chunk: Buffer) => Buffer | undefined) | undefined;
}

/**
 * Carries both directions to their end, or to that of the session or a bound of the permit. They are counted and hashed
 * for the recording: what is inside is nobody's to read. Never rejects.
 */
export async function splice({ session, permit, client, remote, destination, inspect }: Splice): Promise<Outcome> {
  const { timeoutMs, maxBytes } = permit.plan;
  const stop = () => {
    client.destroy();
    remote.destroy();
  };
  let failure: string | undefined;
  const fail = (code: string) => {
    failure ??= code;
    stop();
  };
  session.signal.addEventListener('abort', stop, { once: true });
  if (session.signal.aborted) stop();
  const timer = Number.isFinite(timeoutMs) ? setTimeout(stop, Math.min(timeoutMs, 2 ** 31 - 1)) : undefined;
  const up: Direction = { bytes: 0, maxBytes: Number.POSITIVE_INFINITY, hash: createHash('sha256'), inspect };
  const down: Direction = { bytes: 0, maxBytes, hash: createHash('sha256'), inspect: undefined };
  await Promise.all([flow(client, remote, up, fail), flow(remote, client, down, fail)]);
  clearTimeout(timer);
  session.signal.removeEventListener('abort', stop);
  session.record({
    decisionId: permit.decisionId,
    kind: 'forwarded',
    data: {
      ...destination,
      bytes_up: up.bytes,
      bytes_down: down.bytes,
      sha256_up: up.hash.digest('hex'),
      sha256_down: down.hash.digest('hex'),
    },
  });
  const aborted = session.signal.aborted || failure !== undefined;
  return {
    status: aborted ? 'aborted' : 'ok',
    ...(failure !== undefined && { code: failure }),
    bytes: up.bytes + down.bytes,
  };
}

interface Direction {
  bytes: number;
  readonly maxBytes: number;
  readonly hash: Hash;
  readonly inspect: Splice['inspect'];
}

function flow(from: Duplex, to: Duplex, direction: Direction, fail: (code: string) => void): Promise<void> {
  return new Promise((resolve) => {
    from.on('error', () => {});
    from.on('data', (chunk: Buffer) => {
      const passed = inspected(chunk, direction, fail);
      if (passed === undefined) return;
      direction.bytes += passed.length;
      direction.hash.update(passed);
      if (direction.bytes > direction.maxBytes) fail('limit_reached');
      else if (to.writable && !to.write(passed)) {
        from.pause();
        const resume = () => {
          to.off('drain', resume);
          to.off('close', resume);
          from.resume();
        };
        to.once('drain', resume);
        to.once('close', resume);
      }
    });
    const done = () => {
      if (to.writable) to.end();
      resolve();
    };
    from.once('end', done);
    from.once('close', done);
    // Whoever ended before there was anybody to hear it.
    if (from.destroyed || from.readableEnded) done();
  });
}

function inspected(chunk: Buffer, { inspect }: Direction, fail: (code: string) => void): Buffer | undefined {
  if (inspect === undefined) return chunk;
  try {
    return inspect(chunk);
  } catch {
    fail('inspection_refused');
    return undefined;
  }
}
