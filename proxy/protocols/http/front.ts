/**
 * HTTP/1.1 towards clients: node's own parser, strict, with bounds of ours; whatever it cannot read is answered with 400
 * and audited. Nothing here knows what a request means.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Limits } from '../../core/limits.ts';
import type { Connection } from '../../core/ports.ts';
import type { Fault } from '../../core/types.ts';

/** Who takes what a client sends on one connection. */
export interface RequestHandler {
  request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void;
  /** A request to speak another protocol. The socket is the handler's from here. */
  upgrade(request: IncomingMessage, socket: Connection['socket'], head: Buffer): void;
  /** A tunnel that is asked for; without this, a forward proxy is not what this is. The socket is the handler's from here. */
  connect?(request: IncomingMessage, socket: Connection['socket'], head: Buffer): void;
  malformed(fault: Fault): void;
}

/** Speaks HTTP on sockets that somebody else accepts. */
export class HttpFront {
  readonly #server: Server;
  readonly #limits: Limits;
  readonly #handlers = new WeakMap<object, RequestHandler>();

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#server = createServer({
      maxHeaderSize: limits.httpHeaderBytesMax,
      headersTimeout: limits.httpHeadersTimeoutMs,
      requestTimeout: limits.httpRequestTimeoutMs,
      keepAliveTimeout: limits.httpKeepAliveTimeoutMs,
      requireHostHeader: false,
      insecureHTTPParser: false,
      noDelay: true,
      // Any other upgrade is one that nobody has to take (RFC 9110 section 7.8): the request is served as it is.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    });
    // Ours to count: node would hide the rest from the handler (CVE-2026-58044).
    this.#server.maxHeadersCount = 0;
    this.#server.on('request', (request, response) => this.#handler(request)?.request(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#handler(request)?.request(request, response, true));
    this.#server.on('checkExpectation', (request, response) =>
      this.#handler(request)?.request(request, response, false),
    );
    this.#server.on('upgrade', (request, socket, head) => {
      const handler = this.#handler(request);
      if (handler === undefined) socket.destroy();
      else handler.upgrade(request, socket, head);
    });
    this.#server.on('connect', (request, socket, head) => {
      const handler = this.#handler(request);
      if (handler?.connect !== undefined) {
        handler.connect(request, socket, head);
        return;
      }
      handler?.malformed({ code: 'operation_unsupported', message: 'CONNECT is for a forward proxy.' });
      socket.end('HTTP/1.1 405 Method Not Allowed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
    this.#server.on('clientError', (error: Error & { code?: string }, socket) => {
      this.#handlers.get(socket)?.malformed({ code: 'operation_malformed', message: 'The request is not HTTP/1.1.' });
      if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
      else socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
  }

  #handler(request: IncomingMessage): RequestHandler | undefined {
    return this.#handlers.get(request.socket);
  }

  /** Serves one connection until its socket closes. Never rejects. */
  async serve(connection: Connection, tls: SecureContext | undefined, handler: RequestHandler): Promise<void> {
    const { socket } = connection;
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (tls === undefined) {
      this.#begin(socket, handler);
    } else {
      const secure = new TLSSocket(socket, { isServer: true, secureContext: tls, ALPNProtocols: ['http/1.1'] });
      // In a handshake there are no words to say it in.
      const failed = () => {
        handler.malformed({ code: 'operation_malformed', message: 'The TLS handshake failed.' });
        socket.destroy();
      };
      const late = setTimeout(failed, this.#limits.loginTimeoutMs);
      secure.on('error', () => socket.destroy());
      secure.once('_tlsError', failed);
      secure.once('secure', () => {
        clearTimeout(late);
        this.#begin(secure, handler);
      });
      secure.once('close', () => {
        clearTimeout(late);
        socket.destroy();
      });
    }
    await closed;
  }

  #begin(socket: Connection['socket'], handler: RequestHandler): void {
    this.#handlers.set(socket, handler);
    this.#server.emit('connection', socket);
  }

  /** Ends idle connections; what is being answered goes on. */
  close(): void {
    this.#server.closeIdleConnections();
  }
}
