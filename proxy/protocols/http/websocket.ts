/**
 * An upgrade to WebSocket, where policy allows one: the handshake is the gateway's on both sides, frames pass as they
 * are, counted and hashed.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Connection } from '../../core/ports.ts';
import type { OperationFacts, Outcome, Refusal } from '../../core/types.ts';
import type { Admitted } from './connection.ts';
import type { OperationPlan } from './plan.ts';
import { problemOf, statusOf } from './refuse.ts';
import type { Services } from './services.ts';

/** What an upgrade is made of. */
export interface UpgradeOptions {
  readonly admitted: Admitted;
  readonly facts: OperationFacts<OperationPlan>;
  readonly incoming: IncomingMessage;
  readonly socket: Connection['socket'];
  /** Bytes that came behind the request: frames that nobody may send before the handshake is done. */
  readonly head: Buffer;
  readonly services: Services;
}

const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Serves the connection to its end. */
export async function serveUpgrade(options: UpgradeOptions): Promise<void> {
  const { admitted, facts, socket, services } = options;
  const { session, mapped } = admitted;
  const answer = await session.authorize({ facts });
  if ('refusal' in answer) {
    refuse(socket, answer.refusal);
    return;
  }
  const { permit } = answer;
  const key = handshakeKey(options);
  if (key === undefined || !mapped.upstream.websockets) {
    permit.complete({ status: 'error', code: 'operation_unsupported' });
    const message = 'This upstream takes no WebSocket connections like that.';
    refuse(socket, { ...words(permit.decisionId), code: 'operation_unsupported', message });
    return;
  }
  const { pool, credential } = services.of(mapped.upstream);
  let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
  try {
    const header = await credential.header(admitted.token);
    const { queryText, headers } = admitted.request;
    const ownKey = randomBytes(16).toString('base64');
    const upstream = await pool.upgrade({
      path: queryText === '' ? mapped.path : `${mapped.path}?${queryText}`,
      method: 'GET',
      protocol: 'websocket',
      headers: {
        ...Object.fromEntries(headers.filter(([name]) => name !== 'sec-websocket-key')),
        ...(header && { [header[0]]: header[1] }),
        'sec-websocket-key': ownKey,
        'sec-websocket-version': '13',
      },
    });
    if (upstream.headers['sec-websocket-accept'] !== accept(ownKey)) throw new Error('not a WebSocket handshake');
    const protocol = upstream.headers['sec-websocket-protocol'];
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept(key)}\r\n${
        typeof protocol === 'string' ? `sec-websocket-protocol: ${protocol}\r\n` : ''
      }\r\n`,
    );
    outcome = await splice(socket, upstream.socket, options, permit.decisionId);
  } catch {
    if (socket.writable) {
      const message = 'The upstream did not accept the connection.';
      refuse(socket, { ...words(permit.decisionId), code: 'upstream_unavailable', message });
    }
  } finally {
    permit.complete(outcome);
  }
}

function handshakeKey({ incoming, head }: UpgradeOptions): string | undefined {
  const key = incoming.headers['sec-websocket-key'];
  const version = incoming.headers['sec-websocket-version'];
  return head.length === 0 && version === '13' && key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key)
    ? key
    : undefined;
}

function accept(key: string): string {
  return createHash('sha1')
    .update(key + acceptSuffix)
    .digest('base64');
}

function words(decisionId: string): Omit<Refusal, 'code' | 'message'> {
  return { decisionId, policy: undefined, hint: 'Use plain requests.', reasons: [], endSession: false };
}

function refuse(socket: Duplex, refusal: Refusal): void {
  const status = statusOf(refusal.code);
  const body = JSON.stringify(problemOf(refusal, status));
  socket.end(
    `HTTP/1.1 ${status} Refused\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Both directions to their end. */
async function splice(
  client: Duplex,
  upstream: Duplex,
  { admitted }: UpgradeOptions,
  decisionId: string,
): Promise<Outcome> {
  const { session } = admitted;
  const stop = () => {
    client.destroy();
    upstream.destroy();
  };
  session.signal.addEventListener('abort', stop, { once: true });
  const up = { bytes: 0, hash: createHash('sha256') };
  const down = { bytes: 0, hash: createHash('sha256') };
  await Promise.all([flow(client, upstream, up), flow(upstream, client, down)]);
  session.signal.removeEventListener('abort', stop);
  session.record({
    decisionId,
    kind: 'forwarded',
    data: {
      ...{ protocol: 'websocket', bytes_up: up.bytes, sha256_up: up.hash.digest('hex') },
      ...{ bytes_down: down.bytes, sha256_down: down.hash.digest('hex') },
    },
  });
  return { status: session.signal.aborted ? 'aborted' : 'ok', bytes: up.bytes + down.bytes };
}

function flow(from: Duplex, to: Duplex, total: { bytes: number; hash: ReturnType<typeof createHash> }): Promise<void> {
  return new Promise((resolve) => {
    from.on('error', () => {});
    from.on('data', (chunk: Buffer) => {
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
