/**
 * One client of the forward proxy. A tunnel to an upstream is opened up and what is inside judged as if it had come
 * straight; any other tunnel is judged by where it leads, and nobody reads it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SecureContext } from 'node:tls';
import { asGatewayError } from '../../../core/errors.ts';
import type { Permit } from '../../../core/permit.ts';
import type { Connection, Gateway, SessionHandle } from '../../../core/ports.ts';
import { splice } from '../../../core/splice.ts';
import type { Fault, Identity, Outcome, Refusal } from '../../../core/types.ts';
import { canonicalRequest } from '../canonical.ts';
import { HttpConnection } from '../connection.ts';
import type { RequestHandler } from '../front.ts';
import type { OperationPlan } from '../plan.ts';
import { problemOf, proxyChallenges, sendProblem, statusOf } from '../refuse.ts';
import type { HttpUpstream } from '../upstreams.ts';
import { type Destination, dial } from './dial.ts';
import type { ForwardParts } from './index.ts';
import { type ConnectRequest, onBehalf, readAbsolute, readConnect } from './request.ts';
import { ServerNameCheck } from './server-name.ts';
import { authorityText, tunnelFacts, tunnelSupports } from './tunnel.ts';
import { upstreamFor } from './upstreams.ts';

type ClientSocket = Connection['socket'];

/** Serves one connection to the forward proxy. */
export class ForwardConnection implements RequestHandler {
  readonly #connection: Connection;
  readonly #gateway: Gateway;
  readonly #parts: ForwardParts;
  /** Who serves requests in absolute form, by the name of their upstream. */
  readonly #straight = new Map<string, HttpConnection>();
  #tunnel: Promise<void> | undefined;

  constructor(connection: Connection, gateway: Gateway, parts: ForwardParts) {
    this.#connection = connection;
    this.#gateway = gateway;
    this.#parts = parts;
  }

  request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    response.on('error', () => {});
    request.on('error', () => {});
    void this.#request(request, response, expectsContinue).catch((thrown: unknown) => {
      this.#refuse(response, asGatewayError(thrown, 'internal_error', 'The request could not be served.'));
    });
  }

  connect(request: IncomingMessage, socket: ClientSocket, head: Buffer): void {
    socket.on('error', () => {});
    this.#tunnel = this.#connect(request, socket, head).catch((thrown: unknown) => {
      this.malformed(asGatewayError(thrown, 'internal_error', 'The tunnel could not be served.'));
      socket.destroy();
    });
  }

  /** A WebSocket in clear: asked for in absolute form, it is its upstream's to take. */
  upgrade(request: IncomingMessage, socket: ClientSocket, head: Buffer): void {
    socket.on('error', () => {});
    void this.#authenticated(request)
      .then((asked) => {
        if ('fault' in asked) {
          answer(socket, this.#reject(asked.fault, asked.identity), asked.status);
          return;
        }
        this.#connectionTo(asked.upstream).upgrade(request, socket, head);
      })
      .catch(() => socket.destroy());
  }

  malformed(fault: Fault): void {
    this.#reject(fault);
  }

  /** Ends what was begun: the client is gone. */
  async close(): Promise<void> {
    await this.#tunnel;
    for (const one of this.#straight.values()) await one.close();
  }

  async #request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const asked = await this.#authenticated(request);
    if ('fault' in asked) this.#refuse(response, asked.fault, asked.status, asked.identity);
    else this.#connectionTo(asked.upstream).request(request, response, expectsContinue);
  }

  /** Who asks, and for which upstream: in clear, nothing but an upstream of the gateway can be asked for. */
  async #authenticated(
    request: IncomingMessage,
  ): Promise<
    | { readonly upstream: HttpUpstream }
    | { readonly fault: Fault; readonly status?: number; readonly identity?: Identity }
  > {
    const read = readAbsolute(request);
    if ('fault' in read) return read;
    const who = await this.#identityOf(read.token);
    if ('fault' in who) return who;
    const { host, port = 80 } = read.authority;
    const upstream = upstreamFor({ host, port }, this.#parts.services.options.upstreams);
    if (upstream !== undefined) return { upstream };
    const fault = { code: 'upstream_unknown', message: 'In clear, only upstreams of the gateway can be asked for.' };
    return { fault, status: statusOf(fault.code), ...who };
  }

  /** The connection that serves an upstream's requests, each with the token that it came with. */
  #connectionTo(upstream: HttpUpstream): HttpConnection {
    const known = this.#straight.get(upstream.name);
    if (known !== undefined) return known;
    const { services } = this.#parts;
    const made = new HttpConnection(
      { ...this.#connection, upstream: upstream.name },
      this.#gateway,
      services,
      (request) => {
        const read = readAbsolute(request);
        if ('fault' in read) return read;
        const { host, port = 80 } = read.authority;
        const hosts = [host, `${host}:${port}`];
        const result = canonicalRequest(read.raw, { hosts, headers: services.headers, upgrades: true });
        return 'fault' in result || read.token === undefined
          ? result
          : { request: onBehalf(result.request, read.token) };
      },
    );
    this.#straight.set(upstream.name, made);
    return made;
  }

  async #connect(request: IncomingMessage, socket: ClientSocket, head: Buffer): Promise<void> {
    const asked = readConnect(request);
    if ('fault' in asked) return answer(socket, this.#reject(asked.fault), asked.status);
    const who = await this.#identityOf(asked.token);
    if ('fault' in who) return answer(socket, this.#reject(who.fault), who.status);
    const { host, port } = asked.authority;
    const destination: Destination = { host: host.replace(/^\[(.*)\]$/, '$1'), port };
    const opened = await this.#gateway.open({
      protocol: 'http',
      upstream: this.#parts.name,
      identity: who.identity,
      clientAddress: this.#connection.clientAddress,
      application: asked.userAgent.slice(0, 256),
      requested: { host: authorityText(destination) },
      supports: tunnelSupports,
    });
    if ('refusal' in opened) return answer(socket, opened.refusal);
    const { session } = opened;
    const outcome = await this.#inSession(session, asked, destination, socket, head).catch((thrown: unknown) => {
      const fault = asGatewayError(thrown, 'internal_error', 'The tunnel could not be served.');
      if (socket.writable) answer(socket, this.#reject(fault, who.identity));
      return { status: 'error', code: fault.code } as const;
    });
    await session.close(outcome);
  }

  async #inSession(
    session: SessionHandle,
    asked: ConnectRequest,
    destination: Destination,
    socket: ClientSocket,
    head: Buffer,
  ): Promise<Outcome> {
    const { options } = this.#parts.services;
    const own = upstreamFor(destination, options.upstreams);
    const name = own?.name ?? this.#gateway.upstreamAt(destination.host, destination.port) ?? '';
    const judged = await session.authorize({ facts: tunnelFacts(destination, name, options.masker) });
    if ('refusal' in judged) {
      const { decisionId, code, policy, message } = judged.refusal;
      session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
      answer(socket, judged.refusal);
      return { status: 'error', code };
    }
    const { permit } = judged;
    let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
    try {
      if (name === '') outcome = await this.#through({ session, permit, socket, head, destination });
      else {
        established(socket, head);
        const stop = () => socket.destroy();
        session.signal.addEventListener('abort', stop, { once: true });
        if (session.signal.aborted) stop();
        session.record({ decisionId: permit.decisionId, kind: 'forwarded', data: { ...destination, upstream: name } });
        if (own === undefined) {
          const { clientAddress } = this.#connection;
          await this.#gateway.handOver({ socket, clientAddress }, name, session);
        } else {
          // What was told that its tunnel stands is told nothing more in clear.
          await this.#inside(own, asked, socket).catch((thrown: unknown) => {
            socket.destroy();
            throw thrown;
          });
        }
        session.signal.removeEventListener('abort', stop);
        outcome = { status: session.signal.aborted ? 'aborted' : 'ok' };
      }
      return outcome;
    } finally {
      permit.complete(outcome);
    }
  }

  /** What nobody reads, to where policy lets it go. @throws GatewayError when it cannot be reached */
  async #through(tunnel: {
    readonly session: SessionHandle;
    readonly permit: Permit<OperationPlan>;
    readonly socket: ClientSocket;
    readonly head: Buffer;
    readonly destination: Destination;
  }): Promise<Outcome> {
    const { session, permit, socket, head, destination } = tunnel;
    const gone = new AbortController();
    const leave = () => gone.abort();
    socket.once('close', leave);
    const remote = await dial(destination, {
      timeoutMs: this.#parts.services.options.limits.httpConnectTimeoutMs,
      isUpstream: (address, port) => this.#gateway.upstreamAt(address, port) !== undefined,
      signal: AbortSignal.any([session.signal, gone.signal]),
      resolve: this.#parts.resolve,
    }).finally(() => socket.off('close', leave));
    established(socket, head);
    const names = new ServerNameCheck(destination.host);
    return await splice({
      ...{ session, permit, client: socket, remote },
      destination: { ...destination },
      inspect: (chunk) => names.take(chunk),
    });
  }

  /** What goes to an upstream: opened up, so that each request is judged, in the name of whoever asked for the tunnel. */
  async #inside(upstream: HttpUpstream, asked: ConnectRequest, socket: ClientSocket): Promise<void> {
    const { services, front, leaves } = this.#parts;
    const { host, port } = asked.authority;
    const first = await firstByte(socket, services.options.limits.httpHeadersTimeoutMs);
    if (first === undefined) return;
    const encrypted = first === 22;
    if (encrypted && leaves === undefined) {
      this.#reject({
        code: 'operation_unsupported',
        message: 'Without a certificate authority, TLS to an upstream cannot be judged.',
      });
      socket.destroy();
      return;
    }
    const context: SecureContext | undefined = encrypted
      ? await leaves?.contextFor(host.replace(/^\[(.*)\]$/, '$1'))
      : undefined;
    const connection = { socket, clientAddress: this.#connection.clientAddress, upstream: upstream.name };
    const hosts = [host, `${host}:${port}`];
    const inner = new HttpConnection(connection, this.#gateway, services, (request) => {
      const result = canonicalRequest(request, { hosts, headers: services.headers, upgrades: true });
      return 'fault' in result || asked.token === undefined
        ? result
        : { request: onBehalf(result.request, asked.token) };
    });
    await front.serve(connection, context, inner);
    await inner.close();
  }

  async #identityOf(
    token: string | undefined,
  ): Promise<{ readonly identity: Identity } | { readonly fault: Fault; readonly status: number }> {
    const status = 407;
    if (token === undefined) {
      const fault = { code: 'credential_missing', message: 'The proxy needs a token: as bearer, or as the password.' };
      return { fault, status };
    }
    try {
      return { identity: await this.#gateway.authenticate({ kind: 'bearer', secret: token }) };
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'internal_error', 'The token could not be looked at.');
      const known = statusOf(fault.code);
      return { fault, status: known === 401 ? status : known };
    }
  }

  #refuse(response: ServerResponse, fault: Fault, status?: number, identity?: Identity): void {
    sendProblem(response, this.#reject(fault, identity), { status, close: true });
  }

  #reject(fault: Fault, identity?: Identity): Refusal {
    const about = { protocol: 'http', clientAddress: this.#connection.clientAddress, fault };
    return this.#gateway.reject(identity === undefined ? about : { ...about, identity });
  }
}

/** Says that the tunnel stands, and puts what came too early back in front. */
function established(socket: ClientSocket, head: Buffer): void {
  // Either side may say that it has no more to send, and go on to listen.
  socket.allowHalfOpen = true;
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  if (head.length > 0) socket.unshift(head);
}

/** The first byte that the client sends, which stays to be read; undefined when none comes. */
async function firstByte(socket: ClientSocket, timeoutMs: number): Promise<number | undefined> {
  return await new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    const look = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      finish();
      socket.unshift(chunk);
      resolve(chunk[0]);
    };
    const gone = () => {
      finish();
      resolve(undefined);
    };
    const finish = () => {
      clearTimeout(timer);
      socket.off('readable', look);
      socket.off('close', gone);
      socket.off('end', gone);
    };
    socket.on('readable', look);
    socket.once('close', gone);
    socket.once('end', gone);
  });
}

/** Answers what is no HTTP connection any more with a refusal, and ends it. */
function answer(socket: ClientSocket, refusal: Refusal, status: number = statusOf(refusal.code)): void {
  const body = JSON.stringify(problemOf(refusal, status));
  const lines = [
    `HTTP/1.1 ${status} Refused`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(status === 407 ? proxyChallenges.map((one) => `proxy-authenticate: ${one}`) : []),
    'connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
