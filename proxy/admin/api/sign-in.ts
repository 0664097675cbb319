import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientSecretBasic,
  type Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  None,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { limits } from '../../core/limits.ts';
import type { AuditPort, Clock } from '../../core/ports.ts';
import type { Principal } from '../../core/types.ts';
import { browserKeyPattern } from './browser-sessions.ts';
import { cookie, readCookie } from './cookies.ts';
import { Problem } from './problem.ts';
import { roleOf } from './roles.ts';
import { type Doors, refuseForeign } from './visitor.ts';

/** The console as a client of its OpenID provider. */
export interface SignInOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined for a public client: PKCE protects the code either way. */
  readonly clientSecret: string | undefined;
  readonly scopes: readonly string[];
  /** The claim of the ID token that lists groups. */
  readonly groupsClaim: string;
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
  /** Allows `http:`, for a provider on this machine. */
  readonly allowInsecureHttp: boolean;
}

interface Pending {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly startedMs: number;
}

/**
 * Signs browsers in: authorization code with PKCE, state and nonce, each bound to the browser that began.
 * @see https://www.rfc-editor.org/rfc/rfc9700 https://openid.net/specs/openid-connect-core-1_0.html
 */
export class SignIn {
  readonly #options: SignInOptions;
  readonly #doors: Doors;
  readonly #audit: AuditPort;
  readonly #clock: Clock;
  readonly #redirect: string;
  readonly #pending = new Map<string, Pending>();
  #provider: Promise<Configuration> | undefined;

  constructor(
    options: SignInOptions,
    { doors, audit, clock, url }: { doors: Doors; audit: AuditPort; clock: Clock; url: URL },
  ) {
    this.#options = options;
    this.#doors = doors;
    this.#audit = audit;
    this.#clock = clock;
    this.#redirect = `${url.origin}/auth/callback`;
  }

  /** Answers `/auth/sign-in`, `/auth/callback` and `/auth/sign-out`. @throws Problem */
  async answer(
    { path, search, clientAddress }: { path: string; search: string; clientAddress: string },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const asked = `${request.method} ${path}`;
    if (asked === 'GET /auth/sign-in') return await this.#begin(response);
    if (asked === 'GET /auth/callback') return await this.#finish(search, clientAddress, request, response);
    if (asked === 'POST /auth/sign-out') return this.#signOut(request, response);
    throw new Problem(404, 'route_unknown', 'There is nothing here.');
  }

  async #begin(response: ServerResponse): Promise<void> {
    const provider = await this.#configuration();
    const pending = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() };
    const key = randomBytes(32).toString('base64url');
    const [oldest] = this.#pending.keys();
    if (oldest !== undefined && this.#pending.size >= limits.consoleSignInsMax) this.#pending.delete(oldest);
    this.#pending.set(key, { ...pending, startedMs: this.#clock.monotonicMs() });
    const target = buildAuthorizationUrl(provider, {
      redirect_uri: this.#redirect,
      scope: this.#options.scopes.join(' '),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: 'S256',
    });
    // The way back begins at the provider: only a Lax cookie comes along.
    this.#setCookie(response, 'signIn', key, 'Lax', limits.consoleSignInMs);
    response.writeHead(303, { location: target.href }).end();
  }

  async #finish(
    search: string,
    clientAddress: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const key = readCookie(request.headers.cookie, this.#doors.cookies.signIn) ?? '';
    const pending = this.#pending.get(key);
    this.#pending.delete(key);
    this.#setCookie(response, 'signIn', '', 'Lax', 0);
    if (pending === undefined || this.#clock.monotonicMs() - pending.startedMs > limits.consoleSignInMs) {
      return back(response, 'sign_in_expired');
    }
    const principal = await this.#exchange(search, pending).catch(() => undefined);
    if (principal === undefined) return back(response, 'sign_in_failed');
    const { issuer, id } = principal;
    if (roleOf(principal, this.#doors.roles) === undefined) return back(response, 'role_missing');
    this.#audit.write({
      event: 'signed_in',
      members: '',
      own: { by: { issuer, id }, channel: 'console', client_address: clientAddress },
    });
    // A key that a browser brought along is never the one it goes on with.
    this.#forget(request);
    this.#setCookie(response, 'session', this.#doors.browsers.open(principal), 'Strict', limits.consoleSessionMs);
    back(response, undefined);
  }

  async #exchange(search: string, { state, nonce, verifier }: Pending): Promise<Principal> {
    const provider = await this.#configuration();
    const tokens = await authorizationCodeGrant(provider, new URL(`${this.#redirect}?${search}`), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    if (claims === undefined) throw new Error('no ID token');
    return { issuer: claims.iss, id: name(claims.sub), groups: groupsOf(claims[this.#options.groupsClaim]) };
  }

  #signOut(request: IncomingMessage, response: ServerResponse): void {
    refuseForeign(request, this.#doors);
    this.#forget(request);
    this.#setCookie(response, 'session', '', 'Strict', 0);
    response.writeHead(204).end();
  }

  #forget(request: IncomingMessage): void {
    const key = readCookie(request.headers.cookie, this.#doors.cookies.session);
    if (key !== undefined && browserKeyPattern.test(key)) this.#doors.browsers.close(key);
  }

  #setCookie(
    response: ServerResponse,
    which: 'session' | 'signIn',
    value: string,
    sameSite: 'Strict' | 'Lax',
    maxAgeMs: number,
  ): void {
    const { secure, [which]: cookieName } = this.#doors.cookies;
    response.appendHeader('set-cookie', cookie(cookieName, value, { secure, sameSite, maxAgeMs }));
  }

  /** Asked for once, and again after it failed. @throws Problem 503 */
  #configuration(): Promise<Configuration> {
    this.#provider ??= this.#discover().catch(() => {
      this.#provider = undefined;
      throw new Problem(503, 'identity_unavailable', 'The identity provider could not be reached. Try again later.');
    });
    return this.#provider;
  }

  async #discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret, ca, allowInsecureHttp } = this.#options;
    const client = clientSecret === undefined ? None() : ClientSecretBasic(clientSecret);
    const dispatcher = ca === undefined ? undefined : new Agent({ connect: { ca } });
    return await discovery(new URL(issuer), clientId, undefined, client, {
      execute: [enableNonRepudiationChecks, ...(allowInsecureHttp ? [allowInsecureRequests] : [])],
      timeout: limits.consoleProviderTimeoutMs / 1000,
      ...(dispatcher && {
        [customFetch]: async (url, init) => {
          const { body, method, headers, signal } = init;
          const answered = await undiciFetch(url, {
            dispatcher,
            method,
            headers,
            redirect: 'manual',
            ...(signal && { signal }),
            ...(body != null && { body: String(body) }),
          });
          return new Response(await answered.text(), { status: answered.status, headers: [...answered.headers] });
        },
      }),
    });
  }
}

function back(response: ServerResponse, problem: string | undefined): void {
  response.writeHead(303, { location: problem === undefined ? '/' : `/?problem=${problem}` }).end();
}

function name(value: unknown): string {
  const fits = typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= limits.principalBytesMax;
  if (!fits || !value.isWellFormed() || /\p{Cc}/u.test(value)) throw new Error('a name in the ID token is not one');
  return value;
}

/** Nobody's groups are guessed: a claim of another shape fails the sign-in. */
function groupsOf(claim: unknown): readonly string[] {
  const groups = claim ?? [];
  if (!Array.isArray(groups) || groups.length > limits.groupsMax) throw new Error('the groups are not a list');
  return groups.map(name);
}
