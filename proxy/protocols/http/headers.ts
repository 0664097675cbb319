/** Header fields: their grammar, which may come twice, and which of them may go on. */
import { limits } from '../../core/limits.ts';
import type { Refused } from './contract.ts';
import { malformed, refused } from './refused.ts';

/** Fields whose lines make one list (RFC 9110 section 5.3). Any other that is read or forwarded may come once. */
const lists: ReadonlySet<string> = new Set(
  'accept accept-charset accept-encoding accept-language access-control-request-headers baggage cache-control connection content-language if-match if-none-match mcp-extensions pragma prefer sec-websocket-protocol tracestate upgrade want-content-digest want-repr-digest'.split(
    ' ',
  ),
);

/** Fields about the whole exchange that an HTTP client sends on its own account, and no server takes for a credential. */
const commonNames: ReadonlySet<string> = new Set(
  'accept accept-charset accept-encoding accept-language access-control-request-headers access-control-request-method baggage cache-control content-digest content-disposition content-encoding content-language content-type date from idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since last-event-id origin pragma prefer priority range referer repr-digest traceparent tracestate user-agent want-content-digest want-repr-digest x-correlation-id x-request-id'.split(
    ' ',
  ),
);

/**
 * What never goes on, whatever a configuration says: it is about this connection, it is a credential, it claims who the
 * client is, or it takes the place of method, host or path.
 */
const never: ReadonlySet<string> = new Set(
  `connection content-length expect http2-settings keep-alive proxy-connection te trailer transfer-encoding upgrade
   authorization cookie cookie2 proxy-authenticate proxy-authorization
   cf-connecting-ip client-ip fastly-client-ip forwarded true-client-ip via x-client-ip x-cluster-client-ip x-real-ip x-remote-user
   host proxy x-host x-http-host-override x-http-method x-http-method-override x-method-override x-middleware-subrequest
   x-original-host x-original-method x-original-uri x-original-url x-rewrite-url`.split(/\s+/),
);

function isNever(name: string): boolean {
  return never.has(name) || /^(?:x-forwarded|x-envoy|sec-websocket)-/.test(name);
}

/** The fields that an upstream gets as the client sent them. */
export interface AllowedHeaders {
  /** @param name - in lower case */
  allows(name: string): boolean;
}

/**
 * The common end-to-end fields and those named besides.
 *
 * @param names - without regard to case; `x-shop-*` for all that begin so. A field that may never go on is not let
 * through by a prefix, and is an error when it is named.
 */
export function allowHeaders(names: readonly string[]): AllowedHeaders | { readonly error: string } {
  const exact = new Set(commonNames);
  const prefixes: string[] = [];
  for (const given of names) {
    const name = given.toLowerCase();
    if (!/^[a-z\d](?:[a-z\d-]*[a-z\d]|[a-z\d-]*-\*)?$/.test(name)) {
      return { error: `${JSON.stringify(given)} is no header name, nor a prefix of one like x-shop-*` };
    }
    if (isNever(name)) return { error: `the header ${name} is never forwarded as a client sent it` };
    if (name.endsWith('*')) prefixes.push(name.slice(0, -1));
    else exact.add(name);
  }
  return {
    allows: (name) => exact.has(name) || (!isNever(name) && prefixes.some((prefix) => name.startsWith(prefix))),
  };
}

/** The common end-to-end fields alone. */
export const commonHeaders: AllowedHeaders = { allows: (name) => commonNames.has(name) };

/** Fields that are read although they do not go on; they may not come twice either. */
const read: ReadonlySet<string> = new Set(
  'authorization content-length expect host proxy-authorization sec-websocket-key sec-websocket-version transfer-encoding'.split(
    ' ',
  ),
);

/**
 * Checks every line of a head, also of fields that will be left out, and joins those of lists.
 *
 * @param rawHeaders - names and values in turn, as node:http has them: all of them, in the order of the request
 * @returns by name in lower case; a field that is neither read nor forwarded has the value it had first
 */
export function readHeaders(
  rawHeaders: readonly string[],
  allowed: AllowedHeaders,
): ReadonlyMap<string, string> | Refused<400 | 431> {
  const { httpHeadersMax, httpHeaderBytesMax } = limits;
  if (rawHeaders.length > 2 * httpHeadersMax) {
    return refused(431, 'operation_too_large', `The request has more than ${httpHeadersMax} headers.`);
  }
  const headers = new Map<string, string>();
  let bytes = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const given = rawHeaders[at] ?? '';
    const value = trim(rawHeaders[at + 1] ?? '');
    bytes += given.length + value.length + 4;
    if (bytes > httpHeaderBytesMax) {
      return refused(431, 'operation_too_large', `The headers are longer than ${httpHeaderBytesMax} bytes.`);
    }
    // CGI and its heirs write `-` as `_`: `X_Forwarded_For` would arrive as the header that was taken away.
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(given) || given.includes('_')) {
      return malformed('A header has a name that is no token, or an underscore in it.');
    }
    if (!/^[\t\x20-\x7e]*$/.test(value)) return malformed('A header has a value that is not printable ASCII.');
    const name = given.toLowerCase();
    const before = headers.get(name);
    if (before === undefined) headers.set(name, value);
    else if (lists.has(name)) headers.set(name, [before, value].filter((one) => one !== '').join(', '));
    else if (read.has(name) || allowed.allows(name)) return malformed(`The header ${name} comes twice.`);
  }
  return headers;
}

/** Without white space around, which is no part of a value (RFC 9110 section 5.5); `String.trim` takes more than that. */
function trim(value: string): string {
  return /^[\t ]|[\t ]$/.test(value) ? value.replace(/^[\t ]+/, '').replace(/(?<![\t ])[\t ]+$/, '') : value;
}

/** The members of a comma-separated list, in lower case, without empty ones. */
export function listOf(value: string | undefined): readonly string[] {
  return (value ?? '')
    .split(',')
    .map((member) => trim(member).toLowerCase())
    .filter((member) => member !== '');
}

/**
 * Headers named by `Connection` that a request would mean something else without. Naming one makes proxies between here
 * and the upstream, or this one, drop what was judged.
 */
const needed =
  /^(?:authorization|cookie|expect|forwarded|host|idempotency-key|origin|proxy-authorization|transfer-encoding|via|(?:content|if|mcp|sec|x)-.*)$/;

/** The headers that `Connection` says are about the connection alone (RFC 9110 section 7.6.1). */
export function connectionTokens(value: string | undefined): ReadonlySet<string> | Refused<400> {
  const tokens = new Set(listOf(value));
  for (const token of tokens) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(token)) return malformed('Connection has something in it that is no token.');
    if (needed.test(token)) return malformed('Connection names a header that is not about the connection.');
  }
  return tokens;
}

/** The token of an `Authorization: Bearer` value (RFC 6750 section 2.1); `undefined` for another scheme or grammar. */
export function bearerToken(value: string): string | undefined {
  const [, token] = /^bearer +([\w.~+/-]+=*)$/i.exec(value) ?? [];
  return token !== undefined && token.length <= limits.tokenBytesMax ? token : undefined;
}
