import type { IncomingMessage } from 'node:http';
import type { IdentityPort } from '../../core/ports.ts';
import type { Principal } from '../../core/types.ts';
import type { BrowserSessions } from './browser-sessions.ts';
import { browserKeyPattern } from './browser-sessions.ts';
import { type CookieNames, readCookie } from './cookies.ts';
import { Problem } from './problem.ts';
import { type RoleGroups, roleOf } from './roles.ts';
import type { Visitor } from './route.ts';

/** What tells who somebody is. */
export interface Doors {
  /** Of the console's own audience: a token for the data path opens nothing here. */
  readonly identity: IdentityPort;
  readonly browsers: BrowserSessions;
  readonly cookies: CookieNames;
  readonly roles: RoleGroups;
  /** The origin that pages of the console come from, as browsers write it. */
  readonly origin: string;
}

/** A page elsewhere cannot send a header of this name without being asked for permission first, which it does not get. */
export const writeHeader = 'x-sallyport-console';

/**
 * Who sends a request: by a bearer token, or by the cookie of a browser that is signed in. A cookie alone changes nothing:
 * the page that sends it must be the console's own.
 * @throws Problem 401, or 403 for somebody who has no role here, or whose page is another's.
 */
export async function visitorOf(request: IncomingMessage, doors: Doors): Promise<Visitor> {
  const { authorization } = request.headers;
  if (authorization !== undefined) return withRole(await byToken(authorization, doors), 'cli', doors);
  const key = readCookie(request.headers.cookie, doors.cookies.session);
  const principal = key !== undefined && browserKeyPattern.test(key) ? doors.browsers.use(key) : undefined;
  if (principal === undefined) throw unauthorized('credential_missing', 'Sign in, or send an access token.');
  if (request.method !== 'GET' && request.method !== 'HEAD') refuseForeign(request, doors);
  return withRole(principal, 'console', doors);
}

/** Refuses what another site's page could make a browser send. @throws Problem 403 */
export function refuseForeign(request: IncomingMessage, { origin }: Pick<Doors, 'origin'>): void {
  const site = request.headers['sec-fetch-site'];
  const own = request.headers.origin === origin && request.headers[writeHeader] === '1';
  if (own && (site === undefined || site === 'same-origin')) return;
  throw new Problem(403, 'foreign_page', 'Only pages of the console may do this.');
}

async function byToken(authorization: string, { identity }: Doors): Promise<Principal> {
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(authorization) ?? [];
  if (token === undefined) throw unauthorized('credential_invalid', 'The credential is not a bearer token.');
  try {
    const { issuer, id, groups, chain } = await identity.authenticate({ kind: 'bearer', secret: token });
    // An agent that acts for a person has its own judgement, not that person's.
    if (chain.length > 0)
      throw unauthorized('credential_invalid', 'A token on somebody’s behalf is not accepted here.');
    return { issuer, id, groups };
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('credential_')) {
      throw unauthorized(String(error.code), error.message);
    }
    throw error;
  }
}

function unauthorized(code: string, detail: string): Problem {
  const challenge = code === 'credential_missing' ? 'Bearer' : 'Bearer error="invalid_token"';
  return new Problem(401, code, detail, { 'www-authenticate': challenge });
}

function withRole(principal: Principal, channel: Visitor['channel'], { roles }: Doors): Visitor {
  const role = roleOf(principal, roles);
  if (role === undefined) throw new Problem(403, 'role_missing', 'None of your groups has a role here.');
  return { principal, role, channel };
}
