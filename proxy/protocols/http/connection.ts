/** One client connection: each request is read into its canonical form, authenticated, judged and answered. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { objectAt } from '../../core/documents.ts';
import { asGatewayError } from '../../core/errors.ts';
import { redactSecrets } from '../../core/masker/secrets.ts';
import type { Connection, Gateway, SessionHandle } from '../../core/ports.ts';
import type { Fault, Identity, JsonObject, OperationFacts, Refusal } from '../../core/types.ts';
import { bodyOf, type ReadBody } from './body.ts';
import { canonicalRequest } from './canonical.ts';
import type { CanonicalRequest, CanonicalResult } from './contract.ts';
import { serveExchange } from './exchange.ts';
import { faultFacts, type Place, type RequestOperation, requestFacts } from './facts.ts';
import type { RequestHandler } from './front.ts';
import { requestHold } from './hold.ts';
import { serveMcp } from './mcp-endpoint.ts';
import { metadataFor, metadataUrl } from './mcp-metadata.ts';
import type { OperationPlan } from './plan.ts';
import { supports } from './plan.ts';
import { challenge, sendProblem, statusOf } from './refuse.ts';
import { RequestMemo } from './request-memo.ts';
import type { Services } from './services.ts';
import { ConnectionSessions } from './sessions.ts';
import { findUpstream, hostOf, type Mapped } from './upstreams.ts';
import { serveUpgrade } from './websocket/upgrade.ts';

const noRoute = { template: '', parameters: {}, operationId: undefined, tags: [] } as const;

type Routed = Pick<RequestOperation, 'segments' | 'routed' | 'route'>;

/** What a request was understood as, in a session and under a policy. */
interface Understood {
  readonly session: SessionHandle;
  readonly epoch: number;
  /** One object for one request that comes again, so that it can key a decision. */
  readonly facts: OperationFacts<OperationPlan>;
  readonly body: ReadBody | { readonly fault: Fault };
  /** For the recording. */
  readonly kept: JsonObject;
}

/** A request that may be judged: who asks, and where it leads. */
export interface Admitted {
  readonly request: CanonicalRequest;
  readonly mapped: Mapped;
  readonly session: SessionHandle;
  readonly identity: Identity;
  readonly token: string;
  readonly place: Place;
  /** The session is in use until this is called. */
  readonly release: () => void;
}

/** Serves one connection. */
export class HttpConnection implements RequestHandler {
  readonly #connection: Connection;
  readonly #gateway: Gateway;
  readonly #services: Services;
  readonly #requests: RequestMemo;
  readonly #sessions: ConnectionSessions;
  readonly #sessionKeys = new WeakMap<CanonicalRequest, string>();
  /** What requests without a body were understood as. */
  readonly #understood = new WeakMap<CanonicalRequest, Understood>();

  /** The client's, inside TLS where there is TLS; known from its first request on. */
  #client: Socket | undefined;
  #inFlight = 0;
  #ending = false;
  /** What became of an upgrade, once it is over. */
  #upgraded: Promise<void> | undefined;

  /** @param read - how requests are read where they do not come straight: by what name, and in whose */
  constructor(
    connection: Connection,
    gateway: Gateway,
    services: Services,
    read: (request: IncomingMessage) => CanonicalResult = (request) => {
      const { hosts, headers, options } = services;
      const { bodyMethods, encodedSlashes } = options;
      return canonicalRequest(request, { hosts, headers, upgrades: true, bodyMethods, encodedSlashes });
    },
  ) {
    this.#connection = connection;
    this.#gateway = gateway;
    this.#services = services;
    const { httpSessionsPerConnectionMax, httpRequestsKeptMax } = services.options.limits;
    this.#requests = new RequestMemo(read, httpRequestsKeptMax);
    this.#sessions = new ConnectionSessions(httpSessionsPerConnectionMax);
  }

  request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    this.#inFlight += 1;
    response.once('close', () => {
      this.#inFlight -= 1;
      if (this.#ending) this.#endIdle(request.socket);
    });
    this.#client = request.socket;
    response.on('error', () => {});
    request.on('error', () => {});
    void this.#serve(request, response, expectsContinue).catch((thrown: unknown) => {
      const fault = asGatewayError(thrown, 'internal_error', 'The request could not be served.');
      this.#refuse(response, fault, undefined);
    });
  }

  upgrade(request: IncomingMessage, socket: Connection['socket'], head: Buffer): void {
    socket.on('error', () => {});
    // It ends the socket by itself.
    this.#client = undefined;
    this.#upgraded = this.#upgrade(request, socket, head).catch((thrown: unknown) => {
      this.malformed(asGatewayError(thrown, 'internal_error', 'The upgrade could not be served.'));
      socket.destroy();
    });
  }

  malformed(fault: Fault): void {
    this.#reject(fault);
  }

  /** Ends the sessions: the client is gone. */
  async close(): Promise<void> {
    await this.#upgraded;
    await this.#sessions.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const read = this.#requests.read(request);
    if ('fault' in read) {
      this.#refuse(response, read.fault, read.status);
      return;
    }
    const metadata = metadataFor(read.request, this.#services, this.#scheme());
    if (metadata !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=300' });
      response.end(JSON.stringify(metadata));
      return;
    }
    const admitted = await this.#admit(read.request);
    // The gate has audited it already.
    if ('refusal' in admitted) {
      sendProblem(response, admitted.refusal, { close: true });
      return;
    }
    if ('fault' in admitted) {
      const { fault, identity, mapped } = admitted;
      this.#refuse(response, fault, undefined, identity, mapped, read.request);
      return;
    }
    const { mcp } = admitted.mapped.upstream;
    try {
      if (mcp !== undefined && admitted.mapped.path === mcp) {
        await serveMcp({ admitted, incoming: request, response, expectsContinue, services: this.#services });
      } else {
        await this.#exchange(admitted, request, response, expectsContinue);
      }
    } finally {
      admitted.release();
    }
  }

  async #exchange(
    admitted: Admitted,
    incoming: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<void> {
    const { request, mapped, session } = admitted;
    const { limits } = this.#services.options;
    const known = this.#understood.get(request);
    const understood =
      known?.session === session && known.epoch === session.epoch
        ? known
        : await this.#understand(admitted, incoming, response, expectsContinue);
    const { facts, body } = understood;
    const { masker } = admitted.place;
    // What could not be read is a fault, and never held.
    const hold = 'fault' in body ? undefined : () => requestHold({ request, response, body, masker });
    const answer = await session.authorize({ facts, hold });
    if ('refusal' in answer) {
      const { decisionId, code, policy, message } = answer.refusal;
      session.record({ decisionId, kind: 'request', data: understood.kept });
      session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
      sendProblem(response, answer.refusal, { close: !incoming.complete });
      return;
    }
    const { permit } = answer;
    session.record({ decisionId: permit.decisionId, kind: 'request', data: understood.kept });
    const { upstream, path } = mapped;
    const { queryText } = request;
    const { pool, credential } = this.#services.of(upstream);
    const header = await credential.header(admitted.token).catch((thrown: unknown) => {
      permit.complete({ status: 'error', code: 'upstream_unavailable' });
      throw thrown;
    });
    if ('fault' in body) throw new Error('a fault was permitted');
    const { clock } = this.#services.options;
    // Nothing has read it yet: now its sender may send it.
    if (expectsContinue && body.content !== undefined && !Buffer.isBuffer(body.content)) response.writeContinue();
    permit.complete(
      await serveExchange({
        ...{ session, permit, request, response, dispatcher: pool, clock, limits },
        target: queryText === '' ? path : `${path}?${queryText}`,
        headers: [...body.headers, ...(header === undefined ? [] : [header])],
        body: body.content,
        host: hostOf(upstream),
        unauthorized: () => credential.refused(admitted.token),
        ...(body.parsed.kind === 'graphql' && { aliases: body.parsed.operations[0]?.aliases }),
      }),
    );
  }

  async #upgrade(request: IncomingMessage, socket: Connection['socket'], head: Buffer): Promise<void> {
    const read = this.#requests.read(request);
    if ('fault' in read) {
      this.#reject(read.fault);
      socket.end(`HTTP/1.1 ${read.status} Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const admitted = await this.#admit(read.request);
    if ('fault' in admitted || 'refusal' in admitted) {
      if ('fault' in admitted) this.#reject(admitted.fault, admitted.identity);
      const { code } = 'fault' in admitted ? admitted.fault : admitted.refusal;
      socket.end(`HTTP/1.1 ${statusOf(code)} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    try {
      const body: ReadBody = { parsed: { kind: 'none' }, content: undefined, headers: [] };
      const { mapped, place } = admitted;
      const operation = { ...this.#route(admitted), request: admitted.request, body: body.parsed, path: mapped.path };
      const facts = requestFacts({ ...operation, upgrade: 'websocket' }, place);
      await serveUpgrade({ admitted, facts, incoming: request, socket, head, services: this.#services });
    } finally {
      admitted.release();
    }
  }

  /** Token → identity → session; each can refuse, and nothing of the request is believed before. */
  async #admit(
    request: CanonicalRequest,
  ): Promise<
    | Admitted
    | { readonly refusal: Refusal }
    | { readonly fault: Fault; readonly identity?: Identity; readonly mapped?: Mapped | undefined }
  > {
    const { upstreams, masker } = this.#services.options;
    const mapped = findUpstream(upstreams, request.host, request.path, this.#connection.upstream);
    const { token } = request;
    if (token === undefined) {
      return { fault: { code: 'credential_missing', message: 'A bearer token is needed.' }, mapped };
    }
    let identity: Identity | undefined;
    try {
      identity = await this.#gateway.authenticate({ kind: 'bearer', secret: token });
      if (mapped === undefined) {
        return { fault: { code: 'upstream_unknown', message: 'There is nothing at this address.' }, identity };
      }
      const held = await this.#session(identity, token, mapped, request);
      if ('fault' in held || 'refusal' in held) return held;
      const { session, release } = held;
      const place: Place = { upstream: mapped.upstream, config: session.config, masker };
      return { request, mapped, session, identity, token, place, release };
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'internal_error', 'The request could not be admitted.');
      return { fault, mapped, ...(identity && { identity }) };
    }
  }

  /** The session of this subject at this upstream: the one of earlier requests while it lives. */
  #session(identity: Identity, token: string, { upstream }: Mapped, request: CanonicalRequest) {
    // As long as a token: made once for a request that comes again.
    const key = this.#sessionKeys.get(request) ?? JSON.stringify([upstream.name, token]);
    this.#sessionKeys.set(request, key);
    return this.#sessions.hold(key, async () => {
      const application = request.headers.find(([name]) => name === 'user-agent')?.[1] ?? '';
      const opened = await this.#gateway.open({
        protocol: 'http',
        upstream: upstream.name,
        identity,
        clientAddress: this.#connection.clientAddress,
        application: application.slice(0, 256),
        requested: { host: request.host },
        supports,
      });
      if ('session' in opened) opened.session.signal.addEventListener('abort', () => this.#end(), { once: true });
      return opened;
    });
  }

  /** A session was ended (killed, expired, drained): what is being answered goes on to its own end, nothing new begins here. */
  #end(): void {
    this.#ending = true;
    this.#endIdle(this.#client);
  }

  #endIdle(client: Socket | undefined): void {
    if (this.#inFlight === 0) client?.end();
  }

  /** What policy calls the path. */
  #route({ request, mapped }: Admitted): Routed {
    const { routes } = this.#services.of(mapped.upstream);
    const segments = mapped.path.slice(1).split('/').map(decodeURIComponent);
    return { segments, routed: routes !== undefined, route: routes?.match(request.method, segments) ?? noRoute };
  }

  /** Reads what policy has to know of a request. Of one without a body that is the same when it comes again. */
  async #understand(
    admitted: Admitted,
    incoming: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<Understood> {
    const { request, mapped, session, place } = admitted;
    const { epoch } = session;
    const routed = this.#route(admitted);
    const { limits } = this.#services.options;
    const graphql = takesGraphql(admitted, routed.route.template);
    const body = await bodyOf(request, incoming, response, expectsContinue, { graphql, limits });
    const facts =
      'fault' in body
        ? faultFacts(request, mapped.path, body.fault, place)
        : requestFacts({ ...routed, request, body: body.parsed, path: mapped.path }, place);
    const understood = { session, epoch, facts, body, kept: keptOf(admitted, body) };
    if (request.contentLength === 0) this.#understood.set(request, understood);
    return understood;
  }

  #refuse(
    response: ServerResponse,
    fault: Fault,
    status: number | undefined,
    identity?: Identity,
    mapped?: Mapped,
    request?: CanonicalRequest,
  ): void {
    const refusal = this.#reject(fault, identity);
    const metadata =
      mapped?.upstream.mcp === undefined || request === undefined
        ? undefined
        : metadataUrl(request, this.#services, this.#scheme());
    const known = status ?? statusOf(fault.code);
    sendProblem(response, refusal, { status: known, challenge: challenge(fault.code, metadata), close: true });
  }

  #reject(fault: Fault, identity?: Identity) {
    const about = { protocol: 'http', clientAddress: this.#connection.clientAddress, fault };
    return this.#gateway.reject(identity === undefined ? about : { ...about, identity });
  }

  #scheme(): 'http' | 'https' {
    return this.#services.options.tls() === undefined ? 'http' : 'https';
  }
}

/** What a recording keeps of a request. */
function keptOf({ request, mapped }: Admitted, body: Understood['body']): JsonObject {
  return {
    ...{ method: request.method, host: request.host, path: redactSecrets(mapped.path) },
    headers: Object.fromEntries(request.headers.map(([name, value]) => [name, redactSecrets(value)])),
    ...(!('fault' in body) && body.parsed.kind !== 'none' && { body: body.parsed.kind }),
  };
}

/** Whether the policy's data says that this route of the upstream takes GraphQL. */
function takesGraphql({ mapped, place }: Admitted, template: string): boolean {
  const declared = ['http', 'upstreams', mapped.upstream.name, 'graphql'].reduce(objectAt, place.config);
  const { routes } = declared;
  return template !== '' && Array.isArray(routes) && routes.includes(template);
}
