/**
 * A request in the one form that is judged and forwarded. Nothing is passed on as it came: target, host and headers are
 * written anew from what was understood, and what could be understood in two ways is refused.
 */
import { limits } from '../../core/limits.ts';
import type { CanonicalRequest, CanonicalResult, Header, Refused } from './contract.ts';
import { type AllowedHeaders, bearerToken, commonHeaders, connectionTokens, listOf, readHeaders } from './headers.ts';
import { findHost, parseAuthority } from './host.ts';
import { type MediaType, parseMediaType } from './media-type.ts';
import { malformed, refused } from './refused.ts';
import { parseTarget, type TargetOptions } from './target.ts';

/** A request as node:http has it; an `IncomingMessage` is one. Its server must not cut headers off (`maxHeadersCount = 0`). */
export interface RawRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

/** What a listener takes. */
export interface CanonicalOptions extends TargetOptions {
  /** `api.example` for any port, `api.example:8443` for that one; in lower case. */
  readonly hosts: readonly string[];
  /** From `allowHeaders`; the common ones without. */
  readonly headers?: AllowedHeaders | undefined;
  /** Methods that may have a body besides POST, PUT and PATCH. */
  readonly bodyMethods?: readonly string[] | undefined;
  /** What `Content-Length` may say. A chunked body must be counted by who reads it. */
  readonly bodyBytesMax?: number | undefined;
  /** WebSockets may be asked for. */
  readonly upgrades?: boolean | undefined;
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** Reads a head. Pure, and linear in its length. */
export function canonicalRequest(raw: RawRequest, options: CanonicalOptions): CanonicalResult {
  const { method = '' } = raw;
  if (raw.httpVersion !== '1.1') return refused(505, 'operation_unsupported', 'The gateway speaks HTTP/1.1 only.');
  if (!methods.has(method)) return refused(405, 'operation_unsupported', 'This method is not available.');
  const allowed = options.headers ?? commonHeaders;
  const headers = readHeaders(raw.rawHeaders, allowed);
  if ('fault' in headers) return headers;
  const host = readHost(headers, options.hosts);
  if (typeof host !== 'string') return host;
  const target = parseTarget(raw.url ?? '', options);
  if ('fault' in target) return target;
  const connection = connectionTokens(headers.get('connection'));
  if ('fault' in connection) return connection;
  const body = readFraming(method, headers, options);
  if ('fault' in body) return body;
  const upgrade = readUpgrade(method, headers, connection, body, options.upgrades === true);
  if ('fault' in upgrade) return upgrade;
  const media = readContentType(headers);
  if ('fault' in media) return media;
  const hasBody = body.contentLength !== 0;
  const authorization = headers.get('authorization');
  return {
    request: {
      method,
      host,
      ...target,
      headers: forwarded(headers, allowed, connection, media.text, upgrade.to),
      contentType: hasBody ? media.type : '',
      contentTypeHeader: hasBody ? media.text : '',
      contentLength: body.contentLength,
      token: authorization === undefined ? undefined : bearerToken(authorization),
      upgrade: upgrade.to,
    },
  };
}

type Headers = ReadonlyMap<string, string>;

function readHost(headers: Headers, hosts: readonly string[]): string | Refused<400 | 421> {
  const authority = parseAuthority(headers.get('host') ?? '');
  if (authority === undefined) return malformed('The request has no Host, or one that is not a host name.');
  return findHost(authority, hosts) ?? refused(421, 'upstream_unknown', 'Nothing here has the name of that Host.');
}

/**
 * How the body is delimited (RFC 9112 section 6.3): by a length or as chunks, and never by both, since that is how two
 * servers come to see two requests in one.
 */
function readFraming(
  method: string,
  headers: Headers,
  options: CanonicalOptions,
): Pick<CanonicalRequest, 'contentLength'> | Refused<400 | 413 | 415 | 417> {
  const coding = headers.get('transfer-encoding');
  const length = headers.get('content-length');
  const expect = headers.get('expect');
  if (coding !== undefined && length !== undefined) {
    return malformed('The request has both a Content-Length and a Transfer-Encoding.');
  }
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return malformed('The only transfer coding is chunked.');
  }
  if (length !== undefined && !/^(?:0|[1-9]\d{0,14})$/.test(length)) return malformed('Content-Length is no length.');
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    return refused(417, 'operation_unsupported', 'The only expectation that can be met is 100-continue.');
  }
  const contentLength = coding !== undefined ? undefined : Number(length ?? 0);
  if (contentLength === 0) return { contentLength };
  if (!withBody.has(method) && !options.bodyMethods?.includes(method)) {
    return malformed(`A ${method} request has no body here.`);
  }
  const { bodyBytesMax = limits.httpRequestBytesMax } = options;
  if (contentLength !== undefined && contentLength > bodyBytesMax) {
    return refused(413, 'operation_too_large', `The body is longer than ${bodyBytesMax} bytes.`);
  }
  if (headers.get('content-encoding') !== undefined) {
    return refused(415, 'operation_unsupported', 'A body with this content coding cannot be judged: send it plain.');
  }
  return { contentLength };
}

/**
 * What the connection is to become. HTTP/2 is not taken up, which a server is free to do (RFC 9110 section 7.8);
 * anything else but a WebSocket is refused.
 */
function readUpgrade(
  method: string,
  headers: Headers,
  connection: ReadonlySet<string>,
  body: Pick<CanonicalRequest, 'contentLength'>,
  allowed: boolean,
): { readonly to: CanonicalRequest['upgrade'] } | Refused<400 | 501> {
  const wanted = connection.has('upgrade') ? listOf(headers.get('upgrade')) : [];
  if (wanted.every((protocol) => protocol === 'h2c')) return { to: undefined };
  if (!allowed || wanted.join() !== 'websocket') {
    return refused(501, 'operation_unsupported', 'The connection cannot become that protocol here.');
  }
  // RFC 6455 section 4.2.1
  const key = headers.get('sec-websocket-key') ?? '';
  const wellFormed = method === 'GET' && body.contentLength === 0 && headers.get('sec-websocket-version') === '13';
  if (!wellFormed || !/^[A-Za-z\d+/]{21}[AQgw]==$/.test(key)) {
    return malformed('This is not how a WebSocket is asked for.');
  }
  return { to: 'websocket' };
}

function readContentType(headers: Headers): Pick<MediaType, 'type' | 'text'> | Refused<400> {
  const value = headers.get('content-type');
  if (value === undefined) return { type: '', text: '' };
  return parseMediaType(value) ?? malformed('Content-Type is not one media type.');
}

/** What goes with an upgrade. Extensions do not: frames are read, and an extension changes what they are. */
const webSocketHeaders: ReadonlySet<string> = new Set([
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
]);

function forwarded(
  headers: Headers,
  allowed: AllowedHeaders,
  connection: ReadonlySet<string>,
  contentType: string,
  upgrade: CanonicalRequest['upgrade'],
): readonly Header[] {
  const kept: Header[] = [];
  for (const [name, value] of headers) {
    const goesOn = allowed.allows(name) || (upgrade !== undefined && webSocketHeaders.has(name));
    if (goesOn && !connection.has(name)) kept.push([name, name === 'content-type' ? contentType : value]);
  }
  return kept;
}
