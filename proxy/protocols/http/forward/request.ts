/** What a client of a forward proxy asks for: CONNECT with its target, or a request with the whole address in it. Pure. */
import { limits } from '../../../core/limits.ts';
import type { RawRequest } from '../canonical.ts';
import type { CanonicalRequest, Refused } from '../contract.ts';
import { bearerToken, commonHeaders, readHeaders } from '../headers.ts';
import { type Authority, parseAuthority } from '../host.ts';
import { malformed, refused } from '../refused.ts';

/** A tunnel that is asked for (RFC 9110 section 9.3.6). */
export interface ConnectRequest {
  readonly authority: Authority & { readonly port: number };
  readonly token: string | undefined;
  readonly userAgent: string;
}

/** A request in absolute form (RFC 9112 section 3.2.2), taken apart. */
export interface AbsoluteRequest {
  readonly authority: Authority;
  /** The same request as the server itself would get it. */
  readonly raw: RawRequest;
  readonly token: string | undefined;
}

/** Reads a CONNECT. Its Host says nothing that its target does not, and goes nowhere. */
export function readConnect(raw: RawRequest): ConnectRequest | Refused<400 | 431 | 505> {
  if (raw.httpVersion !== '1.1') return refused(505, 'operation_unsupported', 'The gateway speaks HTTP/1.1 only.');
  const headers = readHeaders(raw.rawHeaders, commonHeaders);
  if ('fault' in headers) return headers;
  if (headers.has('content-length') || headers.has('transfer-encoding')) return malformed('A CONNECT has no body.');
  const authority = parseAuthority(raw.url ?? '');
  if (authority?.port === undefined) return malformed('The target of CONNECT must be a host and a port.');
  const { host, port } = authority;
  return {
    authority: { host, port },
    token: proxyToken(headers.get('proxy-authorization')),
    userAgent: headers.get('user-agent') ?? '',
  };
}

/** Reads a request in absolute form. Host must say the same as the target: servers behind might believe either. */
export function readAbsolute(raw: RawRequest): AbsoluteRequest | Refused<400 | 414 | 431> {
  const url = raw.url ?? '';
  if (url.length > limits.httpTargetBytesMax) {
    return refused(414, 'operation_too_large', `The target is longer than ${limits.httpTargetBytesMax} bytes.`);
  }
  const headers = readHeaders(raw.rawHeaders, commonHeaders);
  if ('fault' in headers) return headers;
  const [, named = '', rest = ''] = /^http:\/\/([^/?#@\\]*)([/?].*)?$/i.exec(url) ?? [];
  const authority = parseAuthority(named);
  if (authority === undefined) {
    return malformed('The target of a request to a forward proxy must be http:// and a host, or CONNECT to a host.');
  }
  const host = parseAuthority(headers.get('host') ?? '');
  const port = authority.port ?? 80;
  if (host?.host !== authority.host || (host.port ?? 80) !== port) {
    return malformed('Host and the target of the request name different servers.');
  }
  return {
    authority: { host: authority.host, port },
    raw: {
      ...{ method: raw.method, httpVersion: raw.httpVersion, rawHeaders: raw.rawHeaders },
      url: rest.startsWith('/') ? rest : `/${rest}`,
    },
    token: proxyToken(headers.get('proxy-authorization')),
  };
}

/**
 * The token of `Proxy-Authorization`: a bearer token, or the password of Basic (RFC 7617), because clients that take a
 * proxy from the environment (`http://agent:TOKEN@gateway`) send that and nothing else. The user name means nothing.
 */
function proxyToken(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, encoded] = /^basic +([A-Za-z\d+/]+=*)$/i.exec(value) ?? [];
  if (encoded === undefined) return bearerToken(value);
  const pair = Buffer.from(encoded, 'base64').toString('latin1');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : bearerToken(`Bearer ${pair.slice(colon + 1)}`);
}

/** The request of somebody whose token is known already: what it says about who it is counts for nothing. */
export function onBehalf(request: CanonicalRequest, token: string): CanonicalRequest {
  return { ...request, token };
}
