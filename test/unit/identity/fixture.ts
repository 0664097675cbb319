import { createHmac, createPrivateKey, type JsonWebKey, sign } from 'node:crypto';
import type { GatewayError } from '../../../proxy/core/errors.ts';
import type { Clock } from '../../../proxy/core/ports.ts';
import type { Identity } from '../../../proxy/core/types.ts';
import {
  createIdentity,
  type IdentityEvent,
  type IdentityService,
  type IssuerOptions,
} from '../../../proxy/identity/index.ts';
import { type Oidc, type OidcOptions, startOidc } from '../../support/oidc.ts';

/** The machine's time, moved by hand: tokens of a real provider carry the real time. */
export class MovableClock implements Clock {
  aheadMs = 0;
  nowMs(): number {
    return Date.now() + this.aheadMs;
  }
  monotonicMs(): number {
    return performance.now() + this.aheadMs;
  }
}

/** An identity service for one or more real providers, and what it said happened. */
export interface Fixture {
  readonly identity: IdentityService;
  readonly clock: MovableClock;
  readonly events: IdentityEvent[];
  /** Resolves at the next event of this name, counted from the call. */
  next(event: IdentityEvent['event']): Promise<IdentityEvent>;
  accept(token: string): Promise<Identity>;
  /** The error a token is refused with. @throws when it is accepted. */
  refuse(token: string): Promise<GatewayError>;
}

const opened: { close(): unknown }[] = [];

/** Ends every service that {@link identityFor} made, and every provider of {@link anotherOidc}; for `afterEach`. */
export async function closeIdentities(): Promise<void> {
  await Promise.all(opened.splice(0).map((each) => each.close()));
}

/** One more provider, for the length of a test: a failing test must not leave it listening. */
export async function anotherOidc(options?: OidcOptions): Promise<Oidc> {
  const oidc = await startOidc(options);
  opened.push({ close: () => oidc.stop() });
  return oidc;
}

/** A service that trusts these providers. */
export async function identityFor(oidc: Oidc | Oidc[], options: Partial<IssuerOptions> = {}): Promise<Fixture> {
  const clock = new MovableClock();
  const events: IdentityEvent[] = [];
  const waiting = new Set<(event: IdentityEvent) => void>();
  const identity = await createIdentity({
    clock,
    issuers: [oidc].flat().map(({ issuer, audience }) => ({ issuer, audience, allowInsecureHttp: true, ...options })),
    onEvent(event) {
      events.push(event);
      for (const wait of waiting) wait(event);
    },
  });
  opened.push(identity);
  const accept = (secret: string) => identity.authenticate({ kind: 'bearer', secret });
  return {
    identity,
    clock,
    events,
    accept,
    async refuse(token) {
      const outcome = await accept(token).catch((error: GatewayError) => error);
      if (outcome instanceof Error) return outcome;
      throw new Error(`accepted, as ${outcome.id}`);
    },
    next: (name) =>
      new Promise((resolve) => {
        const wait = (event: IdentityEvent): void => {
          if (event.event !== name) return;
          waiting.delete(wait);
          resolve(event);
        };
        waiting.add(wait);
      }),
  };
}

/** Claims that are acceptable as they are, for tests that spoil one. */
export function goodClaims(oidc: Oidc, nowSeconds = Math.floor(Date.now() / 1000)): Record<string, unknown> {
  return {
    iss: oidc.issuer,
    aud: oidc.audience,
    sub: 'triage-bot',
    client_id: 'triage-bot',
    groups: ['support'],
    iat: nowSeconds,
    exp: nowSeconds + 300,
  };
}

/** `goodClaims` without one of them. */
export function without(oidc: Oidc, claim: string): Record<string, unknown> {
  const { [claim]: _gone, ...rest } = goodClaims(oidc);
  return rest;
}

const encode = (part: unknown): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** Any header, any payload (a string is taken as raw JSON), any signature: what no honest library would make. */
export function forge(header: unknown, payload: unknown, signature: (input: Buffer) => Buffer | string): string {
  const input = `${encode(header)}.${encode(payload)}`;
  const signed = signature(Buffer.from(input));
  return `${input}.${typeof signed === 'string' ? signed : signed.toString('base64url')}`;
}

/** An RSASSA-PKCS1-v1_5 signature with SHA-256 (RS256) by a private JWK. */
export function rs256(key: object | undefined): (input: Buffer) => Buffer {
  const privateKey = createPrivateKey({ key: key as JsonWebKey, format: 'jwk' });
  return (input) => sign('sha256', input, privateKey);
}

/** HMAC with SHA-256 (HS256). */
export function hs256(secret: string | Buffer): (input: Buffer) => Buffer {
  return (input) => createHmac('sha256', secret).update(input).digest();
}
