import type { IncomingMessage, ServerResponse } from 'node:http';
import { limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { Json } from '../../core/types.ts';
import { hostAllowed } from '../host.ts';
import { type Assets, readAssets } from './assets.ts';
import { readBody, readJsonText } from './body.ts';
import { ResponseStream } from './event-stream.ts';
import { securityHeaders } from './headers.ts';
import { Problem, problemOf } from './problem.ts';
import { atLeast } from './roles.ts';
import type { Answer, Hook, OpenDocument } from './route.ts';
import type { SignIn } from './sign-in.ts';
import { bodyOf, queryOf, type Table } from './table.ts';
import { VisitRates } from './visit-rates.ts';
import { type Doors, visitorOf } from './visitor.ts';

/** What a handler is made of. */
export interface HandlerOptions {
  readonly table: Table;
  readonly open: readonly OpenDocument[];
  readonly hooks: readonly Hook[];
  readonly doors: Doors;
  readonly signIn: SignIn | undefined;
  readonly url: URL;
  readonly assets: string | undefined;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
}

/** Answers requests: looks at each from the outside in, and stops at the first thing that is wrong. */
export class Handler {
  readonly #options: HandlerOptions;
  readonly #assets: Assets;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #rates: VisitRates;
  readonly #signIns: VisitRates;
  #streams = 0;

  /** Reads the console's files. @throws when they are not there. */
  static async create(options: HandlerOptions): Promise<Handler> {
    return new Handler(options, options.assets === undefined ? new Map() : await readAssets(options.assets));
  }

  private constructor(options: HandlerOptions, assets: Assets) {
    this.#options = options;
    this.#assets = assets;
    this.#headers = securityHeaders(options.url.protocol === 'https:');
    this.#rates = new VisitRates(options.clock, limits.consoleRequestsPerMinuteMax);
    this.#signIns = new VisitRates(options.clock, limits.consoleSignInsPerMinuteMax);
  }

  /** Answers one request. Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(this.#headers)) response.setHeader(name, value);
    response.setHeader('cache-control', 'no-store');
    try {
      await this.#answer(request, response);
    } catch (error) {
      this.#refuse(response, error);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#lookOver(request);
    const { path, search } = targetOf(request);
    const { method = '' } = request;
    this.#count(this.#rates, request);
    const hook = this.#options.hooks.find((one) => one.path === path);
    if (hook !== undefined) return await this.#hook(hook, request, response);
    if (path.startsWith('/auth/')) return await this.#signIn(path, search, request, response);
    if (!path.startsWith('/api/')) return this.#asset(path, request, response);
    const document = this.#options.open.find((one) => one.path === path);
    if (document !== undefined && method === 'GET') return sendJson(response, 200, document.json);
    // Whoever is nobody is not told what there is.
    const visitor = await visitorOf(request, this.#options.doors);
    const { entry, parameters } = this.#options.table.find(method, path);
    if (!atLeast(visitor.role, entry.route.role)) {
      throw new Problem(403, 'role_insufficient', `This needs the role ${entry.route.role}; yours is ${visitor.role}.`);
    }
    const query = queryOf(entry, search);
    const body = bodyOf(entry, method === 'GET' ? '' : await readJsonText(request));
    const clientAddress = addressOf(request);
    await this.#send(response, await entry.route.handle({ visitor, parameters, query, body, clientAddress }));
  }

  /** What has to hold of any request. @throws Problem */
  #lookOver(request: IncomingMessage): void {
    if (request.rawHeaders.length > 2 * limits.consoleHeadersMax) {
      throw new Problem(431, 'headers_too_many', 'Too many headers.');
    }
    const { host = [], authorization = [], origin = [] } = request.headersDistinct;
    if (host.length !== 1 || authorization.length > 1 || origin.length > 1) {
      throw new Problem(400, 'headers_invalid', 'One Host header is needed, and at most one of the others.');
    }
    if (!hostAllowed(host[0] ?? '', [this.#options.url.hostname])) {
      throw new Problem(421, 'host_unknown', 'This host is not served here.');
    }
    if ((request.url ?? '').length > limits.consoleTargetBytesMax) {
      throw new Problem(400, 'target_too_large', 'The path is too long.');
    }
  }

  #count(rates: VisitRates, request: IncomingMessage): void {
    const seconds = rates.take(addressOf(request));
    if (seconds !== undefined) {
      throw new Problem(429, 'too_many_requests', 'Too many requests.', { 'retry-after': String(seconds) });
    }
  }

  async #hook(hook: Hook, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') throw new Problem(405, 'method_unknown', 'There is POST here.', { allow: 'POST' });
    const headers = Object.fromEntries(
      Object.entries(request.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
    );
    const body = await readBody(request, limits.consoleHookBytesMax);
    const answered = await hook.handle({ headers, body, clientAddress: addressOf(request) });
    response.writeHead(answered.status, { 'content-type': 'text/plain; charset=utf-8' }).end(answered.body);
  }

  async #signIn(path: string, search: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { signIn } = this.#options;
    if (signIn === undefined) throw new Problem(404, 'route_unknown', 'Nobody signs in here with a browser.');
    this.#count(this.#signIns, request);
    await signIn.answer({ path, search, clientAddress: addressOf(request) }, request, response);
  }

  #asset(path: string, { method, headers }: IncomingMessage, response: ServerResponse): void {
    if (method !== 'GET' && method !== 'HEAD') {
      throw new Problem(405, 'method_unknown', 'GET and HEAD only.', { allow: 'GET, HEAD' });
    }
    // Pages of the console are places inside of its one document.
    const asset = this.#assets.get(path) ?? (path.includes('.') ? undefined : this.#assets.get('/index.html'));
    if (asset === undefined) throw new Problem(404, 'route_unknown', 'There is nothing here.');
    const zipped = /\bgzip\b/.test(String(headers['accept-encoding']));
    const bytes = zipped ? asset.gzip : asset.bytes;
    response.writeHead(200, {
      'content-type': asset.type,
      'content-length': bytes.length,
      'cache-control': asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
      vary: 'accept-encoding',
      ...(zipped && { 'content-encoding': 'gzip' }),
    });
    response.end(method === 'HEAD' ? undefined : bytes);
  }

  async #send(response: ServerResponse, answer: Answer): Promise<void> {
    if ('json' in answer) return sendJson(response, answer.status ?? 200, answer.json);
    if ('events' in answer) return this.#stream(response, answer.events);
    response.writeHead(200, { 'content-type': answer.type });
    for await (const line of answer.lines) {
      if (!response.write(`${line}\n`)) await drained(response);
      if (response.destroyed) return;
    }
    response.end();
  }

  #stream(response: ServerResponse, begin: (stream: ResponseStream) => () => void): void {
    if (this.#streams >= limits.consoleStreamsMax) {
      throw new Problem(503, 'limit_reached', 'Too many streams are open.', { 'retry-after': '30' });
    }
    this.#streams += 1;
    let stop = (): void => {};
    // A token may have ended by then: whoever goes on is looked at again.
    const over = setTimeout(() => stream.end(), limits.consoleStreamMs);
    over.unref();
    const stream = new ResponseStream(response, () => {
      clearTimeout(over);
      this.#streams -= 1;
      stop();
    });
    response.req.socket.setTimeout(4 * limits.consoleKeepAliveMs);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    response.flushHeaders();
    stop = begin(stream);
    // Its reader may have left while it began.
    if (response.destroyed) stop();
  }

  #refuse(response: ServerResponse, error: unknown): void {
    const problem = problemOf(error);
    if (problem.status === 500) this.#options.onError(error instanceof Error ? error : new Error(String(error)));
    if (response.headersSent) {
      response.destroy();
      return;
    }
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    // Whatever a refused request still has to send is not waited for.
    response.setHeader('connection', 'close');
    sendJson(response, problem.status, problem.document, 'application/problem+json');
  }
}

function targetOf(request: IncomingMessage): { path: string; search: string } {
  const [path = '', ...search] = (request.url ?? '').split('?');
  if (!/^\/[\w./~-]*$/.test(path))
    throw new Problem(400, 'target_invalid', 'The path has characters that no path here has.');
  return { path, search: search.join('?') };
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? '';
}

function sendJson(response: ServerResponse, status: number, json: Json, type = 'application/json'): void {
  const body = Buffer.from(`${JSON.stringify(json)}\n`);
  response.writeHead(status, { 'content-type': type, 'content-length': body.length }).end(body);
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}
