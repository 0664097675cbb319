import type { SecureContext } from 'node:tls';
import { asGatewayError, GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { Clock, Connection, Gateway, ProtocolAdapter, SessionHandle } from '../../core/ports.ts';
import type { Fault, Identity } from '../../core/types.ts';
import { CancelRegistry } from './cancel.ts';
import { backend } from './codec.ts';
import type { Database } from './database.ts';
import { Databases } from './databases.ts';
import { acceptClient, endWith, type FrontOutcome } from './front.ts';
import { HoldSlot } from './hold.ts';
import { supports } from './plan.ts';
import { refusalResponse } from './refuse.ts';
import { relay } from './relay.ts';
import { connectUpstream, type UpstreamLink } from './upstream.ts';
import { findLogin, type PostgresUpstream, upstreamOptions } from './upstreams.ts';

export type { PostgresUpstream } from './upstreams.ts';

/** What one PostgreSQL listener is made of. */
export interface PostgresAdapterOptions {
  /** The gateway's certificate and key towards clients, as they are now: a reload may replace them. */
  readonly tls: () => SecureContext;
  /** What can be reached through this listener; with more than one, clients ask for `upstream/database`. */
  readonly upstreams: readonly PostgresUpstream[];
  readonly masker: Masker;
  readonly clock: Clock;
  readonly limits: Limits;
}

type Login = Extract<FrontOutcome, { kind: 'session' }>;

/** The adapter of one PostgreSQL listener. */
export function createPostgresAdapter(options: PostgresAdapterOptions): ProtocolAdapter {
  return new PostgresAdapter(options);
}

class PostgresAdapter implements ProtocolAdapter {
  readonly protocol = 'postgres';
  readonly supports = supports;
  readonly #options: PostgresAdapterOptions;
  readonly #databases: Databases;
  readonly #cancels: CancelRegistry;

  constructor(options: PostgresAdapterOptions) {
    this.#options = options;
    this.#databases = new Databases(options);
    this.#cancels = new CancelRegistry(options);
  }

  async serve(connection: Connection, gateway: Gateway): Promise<void> {
    const outcome = await acceptClient(connection.socket, { tls: this.#options.tls(), limits: this.#options.limits });
    switch (outcome.kind) {
      case 'cancel':
        await this.#cancels.cancel(outcome);
        return;
      case 'closed':
        if (outcome.fault !== undefined) this.#reject(connection, gateway, outcome.fault);
        return;
      case 'refused':
        outcome.fail(this.#reject(connection, gateway, outcome.fault));
        return;
      case 'session':
        await this.#login(connection, gateway, outcome);
    }
  }

  async close(): Promise<void> {
    await this.#databases.close();
  }

  #reject(connection: Connection, gateway: Gateway, fault: Fault, identity?: Identity) {
    const about = { protocol: this.protocol, clientAddress: connection.clientAddress, fault };
    return gateway.reject(identity === undefined ? about : { ...about, identity });
  }

  /** Token → identity → `connect` decision → catalog and upstream; each can refuse, and nothing is opened before it may be. */
  async #login(connection: Connection, gateway: Gateway, login: Login): Promise<void> {
    let identity: Identity | undefined;
    try {
      identity = await within(login.remainingMs(), gateway.authenticate({ kind: 'bearer', secret: login.token }));
      const target = findLogin(reachable(this.#options.upstreams, connection.upstream), login.startup);
      const opened = await gateway.open({
        protocol: this.protocol,
        upstream: target.upstream.name,
        identity,
        clientAddress: connection.clientAddress,
        application: login.startup.application,
        requested: { database: target.database, login: target.login },
        supports,
      });
      if ('refusal' in opened) {
        login.fail(opened.refusal);
        return;
      }
      await this.#converse(login, target, opened.session, gateway);
    } catch (thrown) {
      const fault = asGatewayError(thrown, 'internal_error', 'The login failed.');
      login.fail(this.#reject(connection, gateway, fault, identity));
    }
  }

  async #converse(
    login: Login,
    target: ReturnType<typeof findLogin>,
    session: SessionHandle,
    gateway: Gateway,
  ): Promise<void> {
    let link: UpstreamLink | undefined;
    let database: Database;
    try {
      const { limits } = this.#options;
      const connectTimeoutMs = Math.min(limits.postgresConnectTimeoutMs, login.remainingMs());
      const options = { ...upstreamOptions(target, login.startup, limits), connectTimeoutMs };
      // The link first: it has a deadline of its own, and nothing that fails after it may leave it open.
      link = await connectUpstream(options);
      demandFixedSettings(link);
      database = await within(login.remainingMs(), this.#databases.get(target, gateway));
    } catch (thrown) {
      link?.socket.destroy();
      const fault = asGatewayError(thrown, 'upstream_unavailable', 'The upstream could not be reached.');
      await session.close({ status: 'error', code: fault.code });
      throw fault;
    }
    const upstream = link;
    const holding = new HoldSlot();
    const cancel = () => this.#databases.cancel(target, upstream);
    // What is held has not reached the upstream: there is nothing to cancel there.
    const key = this.#cancels.register(() => (holding.end() ? Promise.resolve() : cancel()));
    try {
      if (session.signal.aborted) {
        endWith(login.socket, refusalResponse(session.signal.reason, 'FATAL'), this.#options.limits.postgresLingerMs);
        upstream.socket.destroy();
        await session.close({ status: 'aborted' });
        return;
      }
      login.socket.write(welcome(upstream, key));
      const { masker, limits } = this.#options;
      const outcome = await relay({
        session,
        database,
        client: { socket: login.socket },
        upstream: { socket: upstream.socket, cancel },
        masker,
        limits,
        holding,
      });
      await session.close(outcome);
    } finally {
      this.#cancels.release(key);
    }
  }
}

/** All upstreams of the listener; inside a tunnel the one that it leads to. */
function reachable(upstreams: readonly PostgresUpstream[], tunnel: string | undefined): readonly PostgresUpstream[] {
  return tunnel === undefined ? upstreams : upstreams.filter(({ name }) => name === tunnel);
}

/** A part of the login within what is left of its time. @throws GatewayError `limit_reached` past it */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GatewayError('limit_reached', 'The login took too long.')), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a server sends between the password and the first query; the cancel key is the gateway's own. */
function welcome(link: UpstreamLink, key: { readonly pid: number; readonly secret: Buffer }): Buffer {
  return Buffer.concat([
    backend.authentication(0),
    ...[...link.parameters].map(([name, value]) => backend.parameterStatus(name, value)),
    backend.backendKeyData(key.pid, key.secret),
    backend.readyForQuery('I'),
  ]);
}

/**
 * The classifier reads SQL as a server with these settings does; another one would be misread. In another encoding
 * of the database the server cuts long identifiers elsewhere, so that names mean something else to it.
 */
const readAsJudged: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['server_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
]);

function demandFixedSettings(link: UpstreamLink): void {
  if ([...readAsJudged].every(([name, value]) => link.parameters.get(name) === value)) return;
  throw new GatewayError(
    'upstream_unavailable',
    'The upstream must use UTF8, its database too, and standard_conforming_strings.',
  );
}
