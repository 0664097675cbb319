/**
 * An upgrade to WebSocket, where policy allows one: the handshake is the gateway's on both sides. What follows is looked into
 * where the decision masks or has messages judged, and passes as it is where not.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Connection } from '../../../core/ports.ts';
import type { OperationFacts, Outcome, Refusal } from '../../../core/types.ts';
import type { Admitted } from '../connection.ts';
import type { Header } from '../contract.ts';
import type { OperationPlan } from '../plan.ts';
import { problemOf, statusOf } from '../refuse.ts';
import type { Services } from '../services.ts';
import { hostOf } from '../upstreams.ts';
import { inspectMessages, isInspected } from './inspect.ts';
import { passBytes } from './pass.ts';

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
  let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
  try {
    const reached = await reach(admitted, services).catch(() => undefined);
    if (reached === undefined) {
      const message = 'The upstream did not accept the connection.';
      if (socket.writable) refuse(socket, { ...words(permit.decisionId), code: 'upstream_unavailable', message });
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept(key)}\r\n${
        reached.protocol === '' ? '' : `sec-websocket-protocol: ${reached.protocol}\r\n`
      }\r\n`,
    );
    const { decisionId, plan } = permit;
    const ends = { client: socket, upstream: reached.socket, session, decisionId, plan };
    const { masker, limits } = services.options;
    outcome = await (isInspected(plan) ? inspectMessages({ ...ends, facts, masker, limits }) : passBytes(ends));
  } finally {
    permit.complete(outcome);
  }
}

/** The gateway's own handshake with the upstream. @throws when it is not one */
async function reach(
  { request, mapped, token }: Admitted,
  services: Services,
): Promise<{ readonly socket: Duplex; readonly protocol: string }> {
  const { pool, credential } = services.of(mapped.upstream);
  const header = await credential.header(token);
  const { queryText, headers } = request;
  const key = randomBytes(16).toString('base64');
  const asked = pool.upgrade({
    path: queryText === '' ? mapped.path : `${mapped.path}?${queryText}`,
    method: 'GET',
    protocol: 'websocket',
    headers: {
      host: hostOf(mapped.upstream),
      ...Object.fromEntries(headers.filter(([name]) => name !== 'sec-websocket-key')),
      ...(header && { [header[0]]: header[1] }),
      'sec-websocket-key': key,
      'sec-websocket-version': '13',
    },
  });
  const upstream = await asked.catch((thrown: unknown) => {
    // Why is not told; it may have been the token.
    credential.refused(token);
    throw thrown;
  });
  upstream.socket.on('error', () => {});
  const protocol = agreed(upstream.headers, key, headers);
  if (protocol !== undefined) return { socket: upstream.socket, protocol };
  upstream.socket.destroy();
  throw new Error('not a WebSocket handshake');
}

function handshakeKey({ incoming, head }: UpgradeOptions): string | undefined {
  const key = incoming.headers['sec-websocket-key'];
  const version = incoming.headers['sec-websocket-version'];
  return head.length === 0 && version === '13' && key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key)
    ? key
    : undefined;
}

/**
 * The subprotocol that an upstream chose, empty for none; undefined when its answer is none to what it was asked: it took
 * something up that was not offered (RFC 6455 section 4.1).
 */
function agreed(
  answer: Readonly<Record<string, string | string[] | undefined>>,
  key: string,
  asked: readonly Header[],
): string | undefined {
  if (answer['sec-websocket-accept'] !== accept(key) || answer['sec-websocket-extensions'] !== undefined) {
    return undefined;
  }
  const { 'sec-websocket-protocol': chosen = '' } = answer;
  const offered = asked.flatMap(([name, value]) => (name === 'sec-websocket-protocol' ? value.split(',') : []));
  const isOffered = typeof chosen === 'string' && offered.some((one) => one.trim() === chosen);
  return chosen === '' || isOffered ? String(chosen) : undefined;
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
