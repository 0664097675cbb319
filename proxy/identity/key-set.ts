import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JWK,
  type JWSHeaderParameters,
  type LocalJWKSet,
} from 'jose';
import { allowInsecureRequests, customFetch, discovery, None } from 'openid-client';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Clock } from '../core/ports.ts';
import { boundedFetch } from './fetch.ts';
import type { Issuer } from './options.ts';

/** What happened to an issuer's keys; the metrics count these. */
export type KeySetEvent =
  | 'discovered'
  | 'discovery_failed'
  | 'jwks_refreshed'
  | 'jwks_rotated'
  | 'jwks_failed'
  | 'jwks_cooldown';

/** Called for each event. `error` is a sentence for the log; it never contains a token. */
export type KeySetListener = (event: KeySetEvent, error?: string) => void;

/**
 * The public keys of one issuer: discovered, fetched, refreshed in the background, and kept through an outage
 * for a bounded time.
 *
 * A token whose key is unknown may be the first after a rotation or the thousandth of an attack, so it causes a fetch
 * only when the last one is `jwksCooldownMs` old. A provider that cannot be reached is asked again with a growing
 * pause, also when the gateway was started before it.
 *
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html https://www.rfc-editor.org/rfc/rfc7517
 */
export class KeySet {
  /** Grows whenever the keys changed: what was verified with an earlier set must be verified again. */
  generation = 0;

  readonly #issuer: Issuer;
  readonly #clock: Clock;
  readonly #listener: KeySetListener;
  readonly #closed = new AbortController();
  readonly #fetch: ReturnType<typeof boundedFetch>;
  #jwksUri: string | undefined;
  #keys: LocalJWKSet | undefined;
  #fingerprint = '';
  #fetchedMs = 0;
  #attemptedMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #underWay: Promise<boolean> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(issuer: Issuer, clock: Clock, listener: KeySetListener) {
    this.#issuer = issuer;
    this.#clock = clock;
    this.#listener = listener;
    const { ca, allowInsecureHttp } = issuer;
    this.#fetch = boundedFetch({ ca, allowInsecureHttp, closed: this.#closed.signal });
  }

  /** True while there are keys, and they are not older than `jwksStaleMs`. */
  get usable(): boolean {
    return this.#keys !== undefined && this.#ageMs() <= this.#issuer.jwksStaleMs;
  }

  /** Tries once to get the keys and goes on trying in the background. Resolves either way. */
  async start(): Promise<void> {
    await this.#refresh();
  }

  /** Stops everything in the background. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closed.abort();
  }

  /**
   * The key a token's header asks for, out of the issuer's own set whatever else the header offers (`jwk`, `jku`,
   * `x5c` are never looked at).
   *
   * @throws GatewayError `identity_unavailable` when there are no keys to look in; jose's errors when it is not there.
   */
  readonly find = async (header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
    const { jwksCooldownMs, jwksRefreshMs } = this.#issuer;
    if (!this.usable) await this.#refreshUnlessCooling(limits.identityRetryMsMin);
    else if (this.#ageMs() > jwksRefreshMs) void this.#refreshUnlessCooling(jwksCooldownMs);
    const keys = this.#keys;
    if (keys === undefined || !this.usable) throw unavailable();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const refreshed = await this.#refreshUnlessCooling(jwksCooldownMs);
      if (!refreshed && this.#failures > 0) throw unavailable();
      const fresh = this.#keys;
      if (fresh === undefined || fresh === keys) throw error;
      return await fresh(header, token);
    }
  };

  #ageMs(): number {
    return this.#clock.monotonicMs() - this.#fetchedMs;
  }

  async #refreshUnlessCooling(cooldownMs: number): Promise<boolean> {
    if (this.#underWay !== undefined) return await this.#underWay;
    if (this.#clock.monotonicMs() - this.#attemptedMs < cooldownMs) {
      this.#listener('jwks_cooldown');
      return false;
    }
    return await this.#refresh();
  }

  /** One attempt at a time; whoever comes meanwhile waits for that one. Resolves to whether it succeeded. */
  #refresh(): Promise<boolean> {
    this.#underWay ??= this.#attempt().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #attempt(): Promise<boolean> {
    this.#attemptedMs = this.#clock.monotonicMs();
    const discovered = this.#jwksUri !== undefined;
    try {
      this.#jwksUri ??= await this.#discover();
      this.#adopt(parseKeys(await this.#get(this.#jwksUri)));
      this.#failures = 0;
    } catch (error) {
      if (this.#closed.signal.aborted) return false;
      this.#failures++;
      this.#listener(this.#jwksUri === undefined ? 'discovery_failed' : 'jwks_failed', describe(error));
      // Only now: the key set may have moved since it was discovered.
      if (discovered) this.#jwksUri = undefined;
    }
    this.#schedule();
    return this.#failures === 0;
  }

  async #discover(): Promise<string> {
    const { issuer, allowInsecureHttp } = this.#issuer;
    const found = await discovery(new URL(issuer), 'sallyport', undefined, None(), {
      [customFetch]: this.#fetch,
      ...(allowInsecureHttp ? { execute: [allowInsecureRequests] } : {}),
    });
    const metadata = found.serverMetadata();
    if (metadata.issuer !== issuer) throw new Error('the discovery document is of another issuer');
    if (metadata.jwks_uri === undefined) throw new Error('the discovery document names no key set');
    this.#listener('discovered');
    return metadata.jwks_uri;
  }

  async #get(uri: string): Promise<unknown> {
    const response = await this.#fetch(uri);
    if (response.status !== 200) throw new Error(`the key set was answered with status ${response.status}`);
    return await response.json();
  }

  #adopt(keys: readonly JWK[]): void {
    this.#fetchedMs = this.#clock.monotonicMs();
    const fingerprint = JSON.stringify(keys);
    const rotated = this.#keys !== undefined && fingerprint !== this.#fingerprint;
    if (fingerprint !== this.#fingerprint) {
      this.#fingerprint = fingerprint;
      this.#keys = createLocalJWKSet({ keys: [...keys] });
      this.generation++;
    }
    this.#listener(rotated ? 'jwks_rotated' : 'jwks_refreshed');
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closed.signal.aborted) return;
    const retryMs = Math.min(
      limits.identityRetryMsMin * 2 ** Math.max(0, this.#failures - 1),
      limits.identityRetryMsMax,
    );
    this.#timer = setTimeout(
      () => void this.#refresh(),
      this.#failures === 0 ? this.#issuer.jwksRefreshMs : Math.min(retryMs, this.#issuer.jwksRefreshMs),
    ).unref();
  }
}

/** The public, asymmetric keys of a JWK Set. Private members and symmetric keys have no business there. */
function parseKeys(document: unknown): readonly JWK[] {
  const keys = isObject(document) ? document.keys : undefined;
  if (!Array.isArray(keys)) throw new Error('the key set is not a JWK Set');
  if (keys.length > limits.jwksKeysMax) throw new Error(`the key set has more than ${limits.jwksKeysMax} keys`);
  return keys.flatMap((key: unknown) => {
    if (!isObject(key)) return [];
    const { kty, kid, use, alg, crv, n, e, x, y } = key;
    if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return [];
    const text = Object.entries({ kid, use, alg, crv, n, e, x, y }).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    );
    return [{ kty, ...Object.fromEntries(text) }];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function unavailable(): GatewayError {
  return new GatewayError('identity_unavailable', 'The keys of the token’s issuer are not available.');
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
