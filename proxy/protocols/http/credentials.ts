/** The gateway's own credentials at an upstream, made into a header for each request. */
import {
  allowInsecureRequests,
  ClientSecretBasic,
  Configuration,
  clientCredentialsGrant,
  genericGrantRequest,
} from 'openid-client';
import { GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { Header } from './contract.ts';
import type { HttpCredential } from './upstreams.ts';

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

interface Held {
  readonly token: string;
  readonly renewAtMs: number;
}

type Requested = Extract<HttpCredential, { tokenUrl: string }>;

/** Makes the header that says to an upstream who asks. One object for one upstream. */
export class UpstreamCredential {
  readonly #credential: HttpCredential;
  readonly #clock: Clock;
  readonly #limits: Pick<Limits, 'httpTokenRenewalMs' | 'httpTokensCachedMax'>;
  /** The gateway's own token under '', or one for each agent's token. */
  readonly #held = new Map<string, Promise<Held>>();

  constructor(
    credential: HttpCredential,
    clock: Clock,
    limits: Pick<Limits, 'httpTokenRenewalMs' | 'httpTokensCachedMax'>,
  ) {
    this.#credential = credential;
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * @param subjectToken - the agent's, which is exchanged where that is configured and never sent on
   * @throws GatewayError `upstream_unavailable` when the token cannot be had
   */
  async header(subjectToken: string): Promise<Header | undefined> {
    const credential = this.#credential;
    switch (credential.kind) {
      case 'none':
        return undefined;
      case 'bearer':
        return ['authorization', `Bearer ${credential.token}`];
      case 'basic': {
        const pair = Buffer.from(`${credential.user}:${credential.password}`, 'utf8').toString('base64');
        return ['authorization', `Basic ${pair}`];
      }
      case 'header':
        return [credential.name, credential.value];
      default:
        return ['authorization', `Bearer ${await this.#token(credential, subjectToken)}`];
    }
  }

  /** One request for a token at a time for each; a failed one is tried again by whoever comes next. */
  async #token(credential: Requested, subjectToken: string): Promise<string> {
    const key = credential.kind === 'token_exchange' ? subjectToken : '';
    const known = this.#held.get(key) ?? this.#hold(key, credential, subjectToken);
    try {
      const { token, renewAtMs } = await known;
      if (this.#clock.nowMs() < renewAtMs) return token;
      if (this.#held.get(key) === known) this.#held.delete(key);
      return (await (this.#held.get(key) ?? this.#hold(key, credential, subjectToken))).token;
    } catch (cause) {
      this.#held.delete(key);
      throw new GatewayError('upstream_unavailable', 'The gateway got no token for the upstream.', { cause });
    }
  }

  #hold(key: string, credential: Requested, subjectToken: string): Promise<Held> {
    if (this.#held.size >= this.#limits.httpTokensCachedMax) this.#held.clear();
    const asked = this.#ask(credential, subjectToken);
    this.#held.set(key, asked);
    return asked;
  }

  async #ask(credential: Requested, subjectToken: string): Promise<Held> {
    const { tokenUrl, clientId, clientSecret, scope, audience } = credential;
    const server = new Configuration(
      { issuer: new URL(tokenUrl).origin, token_endpoint: tokenUrl },
      clientId,
      undefined,
      ClientSecretBasic(clientSecret),
    );
    if (isLoopback(tokenUrl)) allowInsecureRequests(server);
    const common = { ...(scope !== undefined && { scope }) };
    const answer =
      credential.kind === 'client_credentials'
        ? await clientCredentialsGrant(server, { ...common, ...(audience !== undefined && { resource: audience }) })
        : await genericGrantRequest(server, exchangeGrant, {
            ...common,
            ...(audience !== undefined && { audience }),
            subject_token: subjectToken,
            subject_token_type: accessTokenType,
          });
    const lifeMs = (answer.expires_in ?? 60) * 1000;
    const renewAtMs = this.#clock.nowMs() + Math.max(lifeMs - this.#limits.httpTokenRenewalMs, lifeMs / 2);
    return { token: answer.access_token, renewAtMs };
  }
}

/** In clear only to this machine itself, which is where tests and demos have their provider. */
function isLoopback(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && (hostname === 'localhost' || /^127(\.\d+){3}$/.test(hostname) || hostname === '[::1]');
}
