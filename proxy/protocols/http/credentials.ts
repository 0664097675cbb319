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
  readonly askedAtMs: number;
  readonly renewAtMs: number;
}

type Bounds = Pick<
  Limits,
  'httpTokenRenewalMs' | 'httpTokensCachedMax' | 'httpTokenTimeoutMs' | 'httpTokenRefusedAgeMs'
>;

type Requested = Extract<HttpCredential, { tokenUrl: string }>;

/** Makes the header that says to an upstream who asks. One object for one upstream. */
export class UpstreamCredential {
  readonly #credential: HttpCredential;
  readonly #clock: Clock;
  readonly #limits: Bounds;
  /** The gateway's own token under '', or one for each agent's token. */
  readonly #held = new Map<string, Promise<Held>>();

  constructor(credential: HttpCredential, clock: Clock, limits: Bounds) {
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
      case 'client_credentials':
      case 'token_exchange':
        return ['authorization', `Bearer ${await this.#token(credential, subjectToken)}`];
    }
  }

  /**
   * The upstream did not accept the token (401): the next request asks for another one. This one is not sent again, for
   * nobody judged a second one; and a token that has only just been asked for is kept, so that an upstream which refuses
   * everything does not have the provider asked each time.
   */
  refused(subjectToken: string): void {
    const key = this.#key(subjectToken);
    const held = this.#held.get(key);
    const forget = ({ askedAtMs }: Held) => {
      const young = this.#clock.nowMs() - askedAtMs < this.#limits.httpTokenRefusedAgeMs;
      if (!young && this.#held.get(key) === held) this.#held.delete(key);
    };
    held?.then(forget, () => {});
  }

  #key(subjectToken: string): string {
    return this.#credential.kind === 'token_exchange' ? subjectToken : '';
  }

  /** One request for a token at a time for each; a failed one is tried again by whoever comes next. */
  async #token(credential: Requested, subjectToken: string): Promise<string> {
    const key = this.#key(subjectToken);
    const known = this.#held.get(key);
    const held = known && (await known.catch(() => undefined));
    if (held !== undefined && this.#clock.nowMs() < held.renewAtMs) return held.token;
    // Of those who waited, the first one asks, and the others wait for that.
    const next = this.#held.get(key);
    try {
      return (await (next === undefined || next === known ? this.#hold(key, credential, subjectToken) : next)).token;
    } catch (cause) {
      throw new GatewayError('upstream_unavailable', 'The gateway got no token for the upstream.', { cause });
    }
  }

  #hold(key: string, credential: Requested, subjectToken: string): Promise<Held> {
    const [oldest] = this.#held.keys();
    this.#held.delete(key);
    if (oldest !== undefined && this.#held.size >= this.#limits.httpTokensCachedMax) this.#held.delete(oldest);
    const asked = this.#ask(credential, subjectToken);
    this.#held.set(key, asked);
    asked.catch(() => {
      if (this.#held.get(key) === asked) this.#held.delete(key);
    });
    return asked;
  }

  async #ask(credential: Requested, subjectToken: string): Promise<Held> {
    const { scope, audience, resource } = credential;
    const askedAtMs = this.#clock.nowMs();
    const server = this.#server(credential);
    const about = {
      ...(scope !== undefined && { scope }),
      ...(audience !== undefined && { audience }),
      ...(resource !== undefined && { resource }),
    };
    const answer =
      credential.kind === 'client_credentials'
        ? await clientCredentialsGrant(server, about)
        : await genericGrantRequest(server, exchangeGrant, {
            ...about,
            subject_token: subjectToken,
            subject_token_type: accessTokenType,
            ...(credential.actor && {
              actor_token: (await clientCredentialsGrant(server, actorOf(credential.actor))).access_token,
              actor_token_type: accessTokenType,
            }),
          });
    const lifeMs = (answer.expires_in ?? 60) * 1000;
    const renewAtMs = askedAtMs + Math.max(lifeMs - this.#limits.httpTokenRenewalMs, lifeMs / 2);
    return { token: answer.access_token, askedAtMs, renewAtMs };
  }

  #server({ tokenUrl, clientId, clientSecret }: Requested): Configuration {
    const issuer = { issuer: new URL(tokenUrl).origin, token_endpoint: tokenUrl };
    const server = new Configuration(issuer, clientId, undefined, ClientSecretBasic(clientSecret));
    server.timeout = this.#limits.httpTokenTimeoutMs / 1000;
    if (isLoopback(tokenUrl)) allowInsecureRequests(server);
    return server;
  }
}

function actorOf({ scope, resource }: { readonly scope: string | undefined; readonly resource: string | undefined }) {
  return { ...(scope !== undefined && { scope }), ...(resource !== undefined && { resource }) };
}

/** In clear only to this machine itself, which is where tests and demos have their provider. */
function isLoopback(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && (hostname === 'localhost' || /^127(\.\d+){3}$/.test(hostname) || hostname === '[::1]');
}
