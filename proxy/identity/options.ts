import { limits } from '../core/limits.ts';

/** One issuer whose tokens are accepted, as configured. */
export interface IssuerOptions {
  /** The issuer identifier: compared with `iss` character by character. */
  readonly issuer: string;
  /** What `aud` must contain: this gateway, and nothing else the issuer serves. */
  readonly audience: string;
  /** Default RS256, PS256, ES256, EdDSA and Ed25519. Only signature algorithms with a public key are possible. */
  readonly algorithms?: readonly string[];
  /** The clients whose tokens are accepted, by `azp` and `client_id`; all of the issuer's when absent. */
  readonly authorizedParties?: readonly string[];
  /** Seconds that two clocks may differ, at most `limits.clockSkewSecondsMax`; 5 by default. */
  readonly clockSkewSeconds?: number;
  /** The claim with the subject's groups, an array of strings; `groups` by default. A flat name, not a path. */
  readonly groupsClaim?: string;
  /** `at+jwt` (default) demands an RFC 9068 access token; `any` is for issuers that do not mark theirs. */
  readonly typ?: 'at+jwt' | 'any';
  /** CA certificates to verify the issuer's server with, PEM, instead of the system's. */
  readonly ca?: string;
  /** Allows `http:` to a loopback address, for the demo and tests. Anything else stays https. */
  readonly allowInsecureHttp?: boolean;
  /** Longest `exp` − `iat` accepted, at most `limits.tokenLifetimeSecondsMax`, the default. */
  readonly tokenLifetimeSeconds?: number;
  /** See `limits.jwksRefreshMs`, `jwksCooldownMs` and `jwksStaleMs`, the defaults. */
  readonly jwksRefreshMs?: number;
  readonly jwksCooldownMs?: number;
  readonly jwksStaleMs?: number;
}

/** {@link IssuerOptions} with every default filled in and every bound checked. */
export type Issuer = Required<Omit<IssuerOptions, 'ca' | 'authorizedParties'>> & {
  readonly ca: string | undefined;
  readonly authorizedParties: readonly string[] | undefined;
};

/** JWS algorithms whose verification key is public; `none` and HMAC are not among them and cannot be configured. */
const possibleAlgorithms: ReadonlySet<string> = new Set([
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]);
const defaultAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] as const;

/**
 * Checks the issuers of the configuration and fills their defaults in.
 *
 * @throws Error that names the issuer and the option, when one cannot be accepted.
 */
export function parseIssuers(options: readonly IssuerOptions[]): readonly Issuer[] {
  if (options.length === 0) throw new Error('identity: at least one issuer is needed');
  if (options.length > limits.issuersMax) throw new Error(`identity: more than ${limits.issuersMax} issuers`);
  if (new Set(options.map(({ issuer }) => issuer)).size !== options.length) {
    throw new Error('identity: an issuer is configured twice');
  }
  return options.map(parseIssuer);
}

function parseIssuer(options: IssuerOptions): Issuer {
  const atMost = (name: string, value: number, max: number): number => {
    if (Number.isFinite(value) && value >= 0 && value <= max) return value;
    throw refused(options, `${name} must be between 0 and ${max}`);
  };
  checkUrl(options);
  if (options.audience === '') throw refused(options, 'audience is empty');
  const algorithms = options.algorithms ?? defaultAlgorithms;
  if (algorithms.length === 0) throw refused(options, 'algorithms is empty');
  for (const algorithm of algorithms) {
    if (!possibleAlgorithms.has(algorithm)) throw refused(options, `algorithm ${algorithm} is not possible`);
  }
  if (options.authorizedParties?.length === 0) {
    throw refused(options, 'authorizedParties is empty: leave it out to accept every client');
  }
  const lifetimeMax = limits.tokenLifetimeSecondsMax;
  return Object.freeze({
    issuer: options.issuer,
    audience: options.audience,
    algorithms: [...algorithms],
    authorizedParties: options.authorizedParties,
    clockSkewSeconds: atMost('clockSkewSeconds', options.clockSkewSeconds ?? 5, limits.clockSkewSecondsMax),
    groupsClaim: options.groupsClaim ?? 'groups',
    typ: options.typ ?? 'at+jwt',
    ca: options.ca,
    allowInsecureHttp: options.allowInsecureHttp ?? false,
    tokenLifetimeSeconds: atMost('tokenLifetimeSeconds', options.tokenLifetimeSeconds ?? lifetimeMax, lifetimeMax),
    jwksRefreshMs: atMost('jwksRefreshMs', options.jwksRefreshMs ?? limits.jwksRefreshMs, weekMs),
    jwksCooldownMs: atMost('jwksCooldownMs', options.jwksCooldownMs ?? limits.jwksCooldownMs, weekMs),
    jwksStaleMs: atMost('jwksStaleMs', options.jwksStaleMs ?? limits.jwksStaleMs, weekMs),
  });
}

/** Nobody wants a week; it keeps a slip of the unit from becoming "for ever". */
const weekMs = 7 * 24 * 3600_000;

function checkUrl(options: IssuerOptions): void {
  const url = URL.parse(options.issuer);
  if (url === null || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw refused(options, 'is not an issuer URL');
  }
  if (url.protocol === 'https:') return;
  if (url.protocol !== 'http:' || !options.allowInsecureHttp) throw refused(options, 'must be https');
  if (!isLoopback(url.hostname)) throw refused(options, 'allowInsecureHttp is for loopback addresses only');
}

function refused({ issuer }: IssuerOptions, why: string): Error {
  return new Error(`identity: issuer ${issuer}: ${why}`);
}

/** True for `localhost`, 127.0.0.0/8 and ::1, as `URL.hostname` writes them. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}
