import { GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Startup } from './startup-options.ts';
import type { UpstreamOptions } from './upstream.ts';

/** A PostgreSQL server the gateway holds credentials for. */
export interface PostgresUpstream {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: UpstreamOptions['tls'];
  /** The databases clients may name; `undefined`: any. */
  readonly databases: readonly string[] | undefined;
  /** The name a client gives as its user → how the gateway logs in. */
  readonly logins: ReadonlyMap<string, PostgresLogin>;
  /** Fixed for every session: what unqualified names mean must not change. */
  readonly searchPath: readonly string[];
}

/** A credential that never leaves the gateway. */
export interface PostgresLogin {
  readonly user: string;
  readonly password?: string | undefined;
  /** PEM of a client certificate and its key. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** Where a client's startup leads. */
export interface LoginTarget {
  readonly upstream: PostgresUpstream;
  readonly database: string;
  /** The name of the login, as the client asked for it. */
  readonly login: string;
  readonly credentials: PostgresLogin;
}

/**
 * Finds upstream, database and login for a startup. With one upstream the database is the database; with
 * several it is `upstream/database`.
 * @throws GatewayError `upstream_unknown`; the message does not tell which part was unknown
 */
export function findLogin(upstreams: readonly PostgresUpstream[], startup: Startup): LoginTarget {
  const slash = startup.database.indexOf('/');
  const [only] = upstreams;
  const named = upstreams.length > 1 || slash >= 0;
  const upstream = named ? upstreams.find(({ name }) => name === startup.database.slice(0, slash)) : only;
  const database = named ? startup.database.slice(slash + 1) : startup.database;
  const credentials = upstream?.logins.get(startup.user);
  if (
    upstream === undefined ||
    credentials === undefined ||
    database === '' ||
    upstream.databases?.includes(database) === false
  ) {
    throw new GatewayError('upstream_unknown', 'There is no such upstream, database or login here.');
  }
  return { upstream, database, login: startup.user, credentials };
}

/** What the gateway connects with for a client: its own credentials, the client's harmless settings. */
export function upstreamOptions(
  target: LoginTarget,
  startup: Pick<Startup, 'parameters'>,
  limits: Limits,
): UpstreamOptions {
  const { upstream, credentials, database } = target;
  const { certificate, key } = credentials;
  return {
    host: upstream.host,
    port: upstream.port,
    tls:
      upstream.tls.mode === 'disable' || certificate === undefined
        ? upstream.tls
        : { ...upstream.tls, certificate, key },
    user: credentials.user,
    password: credentials.password,
    database,
    parameters: { ...startup.parameters, search_path: searchPathSetting(upstream.searchPath) },
    connectTimeoutMs: limits.postgresConnectTimeoutMs,
  };
}

/** A search path as the value of the setting: each schema quoted. */
export function searchPathSetting(schemas: readonly string[]): string {
  return schemas.map((schema) => `"${schema.replaceAll('"', '""')}"`).join(', ');
}
