import { randomBytes } from 'node:crypto';
import { objectAt } from '../../core/documents.ts';
import { asGatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { Clock, Connection, Gateway, ProtocolAdapter } from '../../core/ports.ts';
import type { Fault, Identity, JsonObject, Refusal } from '../../core/types.ts';
import { Conversation, type Opened } from './conversation.ts';
import { serveExchange } from './exchange.ts';
import type { Place } from './facts.ts';
import { acceptClient, type FrontOutcome } from './front.ts';
import { IssuedKeys } from './issued-keys.ts';
import { type ListenerKeys, readListenerKeys } from './listener-keys.ts';
import { LoginShells } from './login-shell.ts';
import { supports } from './plan.ts';
import { contextOf } from './run.ts';
import { createShellClassifier, readToolSpecs, type ShellClassifier, type ShellContext } from './shell/index.ts';
import { exchangeUser, findTarget, type SshTarget, type SshUpstream } from './target.ts';
import { connectUpstream, type SshLink } from './upstream.ts';

export type { SshLogin, SshUpstream } from './target.ts';

/** What one SSH listener is made of. */
export interface SshAdapterOptions {
  /** The listener's private keys as they are now: a reload may replace them, with another object. */
  readonly keys: () => { readonly hostKeys: readonly string[]; readonly certificateAuthority: string };
  readonly certificateLifetimeSeconds: number;
  /** What can be reached through this listener, as `login+upstream`. */
  readonly upstreams: readonly SshUpstream[];
  readonly masker: Masker;
  readonly clock: Clock;
  readonly limits: Limits;
}

type Login = Extract<FrontOutcome, { kind: 'session' }>;

/** The adapter of one SSH listener. @throws Error when a key of it cannot be used */
export function createSshAdapter(options: SshAdapterOptions): ProtocolAdapter {
  return new SshAdapter(options);
}

class SshAdapter implements ProtocolAdapter {
  readonly protocol = 'ssh';
  readonly supports = supports;
  readonly #options: SshAdapterOptions;
  readonly #keys: () => ListenerKeys;
  readonly #issued: IssuedKeys;
  readonly #shells: LoginShells;
  /** By `data.config`: an author's tools are part of it. */
  readonly #classifiers = new WeakMap<JsonObject, ShellClassifier>();

  constructor(options: SshAdapterOptions) {
    this.#options = options;
    this.#keys = readListenerKeys(options);
    this.#keys();
    this.#issued = new IssuedKeys(options.clock);
    this.#shells = new LoginShells(options, (target) => this.#connect(target));
  }

  async serve(connection: Connection, gateway: Gateway): Promise<void> {
    const { clock, limits } = this.#options;
    const { server, authorityKey } = this.#keys();
    const issued = this.#issued;
    const outcome = await acceptClient(connection, { server, gateway, authority: authorityKey, issued, clock, limits });
    if (outcome.kind === 'closed') {
      if (outcome.fault !== undefined) this.#reject(connection, gateway, outcome.fault);
      return;
    }
    if (outcome.user === exchangeUser) await this.#exchange(connection, gateway, outcome);
    else await this.#converse(connection, gateway, outcome);
  }

  async close(): Promise<void> {}

  #reject(connection: Connection, gateway: Gateway, fault: Fault, identity?: Identity): Refusal {
    const about = { protocol: this.protocol, clientAddress: connection.clientAddress, fault };
    return gateway.reject(identity === undefined ? about : { ...about, identity });
  }

  /** A token for a certificate: nothing else is served on such a connection. */
  async #exchange(connection: Connection, gateway: Gateway, { client, identity, token }: Login): Promise<void> {
    const { certificateLifetimeSeconds: lifetimeSeconds, upstreams, clock, limits } = this.#options;
    const principals = upstreams.map(({ name }) => name);
    await serveExchange(client, {
      ...{ identity, token: token ?? '', principals, lifetimeSeconds, issued: this.#issued, clock, limits },
      authority: this.#keys().authority,
      random: randomBytes,
      refuse: (fault) => this.#reject(connection, gateway, fault, identity),
      audit: (credential) =>
        gateway.issued({ protocol: this.protocol, clientAddress: connection.clientAddress, identity, credential }),
    });
  }

  async #converse(connection: Connection, gateway: Gateway, login: Login): Promise<void> {
    const opened = this.#open(connection, gateway, login);
    const { clientAddress } = connection;
    const { clock, limits } = this.#options;
    const conversation = new Conversation({ client: login.client, opened, gateway, clientAddress, clock, limits });
    const outcome = await conversation.run();
    const result = await opened;
    if ('session' in result) await result.session.close(outcome);
  }

  /** Finds the target and asks whether the subject may connect to it; only then is anything opened there. */
  async #open(
    connection: Connection,
    gateway: Gateway,
    { user, identity, client }: Login,
  ): Promise<Opened | { readonly refusal: Refusal }> {
    try {
      const target = findTarget(this.#options.upstreams, user, connection.upstream);
      if ('fault' in target) return { refusal: this.#reject(connection, gateway, target.fault, identity) };
      const answer = await gateway.open({
        protocol: this.protocol,
        upstream: target.upstream.name,
        identity,
        clientAddress: connection.clientAddress,
        application: client.ident,
        requested: { login: target.login, host: target.upstream.host },
        supports,
      });
      if ('refusal' in answer) return answer;
      const { session } = answer;
      const link = this.#connect(target);
      link.catch(() => {});
      const shell = this.#shells.get(target, gateway);
      const { masker } = this.#options;
      return {
        ...{ session, target, link, shell },
        place: async (): Promise<Place> => ({
          ...{ target, masker, config: session.config, shell: (await shell).kind },
          upstreamAt: (host, port) => gateway.upstreamAt(host, port),
        }),
        classify: (text, loginShell, where = {}) =>
          this.#classify(session.config, text, contextOf(loginShell, target.upstream.commandPath, where)),
      };
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'internal_error', 'The session could not be opened.');
      return { refusal: this.#reject(connection, gateway, fault, identity) };
    }
  }

  /** An author's tools that cannot be read refuse every command: without them it would be judged by other tables. */
  #classify(config: JsonObject, text: string, context: ShellContext): ReturnType<Opened['classify']> {
    try {
      const classifier = this.#classifiers.get(config) ?? classifierFor(config);
      this.#classifiers.set(config, classifier);
      return classifier.classify(text, context);
    } catch (thrown) {
      return { fault: asGatewayError(thrown, 'internal_error', 'The command could not be classified.') };
    }
  }

  #connect({ upstream, credentials }: SshTarget): Promise<SshLink> {
    const { clock, limits } = this.#options;
    return connectUpstream({ ...upstream, credentials, clock, limits });
  }
}

function classifierFor(config: JsonObject): ShellClassifier {
  return createShellClassifier({ tools: readToolSpecs(objectAt(config, 'ssh').tools) });
}
