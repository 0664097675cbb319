import { createHash, type Hash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { SessionHandle } from '../../../core/ports.ts';
import type { Outcome } from '../../../core/types.ts';
import type { OperationPlan } from '../plan.ts';

/** Both ends of a WebSocket whose handshakes are done, and under which decision. */
export interface PassOptions {
  readonly client: Duplex;
  readonly upstream: Duplex;
  readonly session: SessionHandle;
  readonly decisionId: string;
  readonly plan: OperationPlan;
}

/** Passes bytes both ways to their end, where nobody asked to look into them: counted and hashed, one chunk at a time. */
export async function passBytes({ client, upstream, session, decisionId, plan }: PassOptions): Promise<Outcome> {
  let isOver = false;
  const stop = () => {
    client.destroy();
    upstream.destroy();
  };
  const exceed = () => {
    isOver = true;
    stop();
  };
  session.signal.addEventListener('abort', stop, { once: true });
  const isTimed = Number.isFinite(plan.timeoutMs);
  const timer = isTimed ? setTimeout(exceed, Math.min(plan.timeoutMs, 2 ** 31 - 1)) : undefined;
  const up = { bytes: 0, bytesMax: Number.POSITIVE_INFINITY, hash: createHash('sha256') };
  const down = { bytes: 0, bytesMax: plan.maxBytes, hash: createHash('sha256') };
  if (session.signal.aborted) stop();
  await Promise.all([flow(client, upstream, up, exceed), flow(upstream, client, down, exceed)]);
  session.signal.removeEventListener('abort', stop);
  clearTimeout(timer);
  session.record({
    decisionId,
    kind: 'forwarded',
    data: {
      ...{ protocol: 'websocket', bytes_up: up.bytes, sha256_up: up.hash.digest('hex') },
      ...{ bytes_down: down.bytes, sha256_down: down.hash.digest('hex') },
    },
  });
  const bytes = up.bytes + down.bytes;
  if (isOver) return { status: 'aborted', code: 'limit_reached', bytes };
  return { status: session.signal.aborted ? 'aborted' : 'ok', bytes };
}

function flow(
  from: Duplex,
  to: Duplex,
  total: { bytes: number; readonly bytesMax: number; readonly hash: Hash },
  exceed: () => void,
): Promise<void> {
  return new Promise((resolve) => {
    from.on('data', (chunk: Buffer) => {
      if (total.bytes + chunk.length > total.bytesMax) {
        exceed();
        return;
      }
      total.bytes += chunk.length;
      total.hash.update(chunk);
      if (!to.writable || to.write(chunk)) return;
      from.pause();
      const go = () => {
        to.removeListener('drain', go);
        to.removeListener('close', go);
        from.resume();
      };
      to.on('drain', go);
      to.on('close', go);
    });
    const done = () => {
      if (to.writable) to.end();
      resolve();
    };
    from.once('end', done);
    from.once('close', done);
  });
}
