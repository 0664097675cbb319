/**
 * The whole real gateway in this process, on free ports, in front of a real PostgreSQL and a real OIDC provider, with a
 * small shop as its database. Everything it reads and writes is in a folder of its own. Uses no test framework.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { loadConfig } from '../../proxy/config.ts';
import type { ApprovalDesk } from '../../proxy/core/approvals.ts';
import { systemClock } from '../../proxy/core/clock.ts';
import { createLog } from '../../proxy/core/log.ts';
import type { Clock } from '../../proxy/core/ports.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type RunningGateway, startGateway } from '../../proxy/main.ts';
import { type DatasetSize, datasetSql, roleSql, schemaSql } from '../../scripts/demo/dataset.ts';
import { type GatewayFiles, type UpstreamFiles, writeGatewayFiles } from './gateway-files.ts';
import { type Oidc, startOidc, type TokenRequest } from './oidc.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';

const repository = join(import.meta.dirname, '../..');

/** The bundle that is committed. */
export const defaultBundle = join(repository, 'bundles/default.tar.gz');

/** Enough rows for tests of meaning; ask for more where size matters. */
export const smallDataset: DatasetSize = { customers: 60, orders: 120, tickets: 40 };

/** How the gateway under test differs from the usual one. */
export interface TestGatewayOptions {
  /** Merged deeply over `data.config` of the repository (`rego/data/config.json`); `null` removes a key. */
  readonly data?: JsonObject;
  /** A bundle file instead of the committed one. */
  readonly bundle?: string;
  /** `limits:` in snake case. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Further keys of the configuration, merged one level deep. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** An own or shared PostgreSQL (it is left running); by default {@link startPostgres} gives one. */
  readonly postgres?: PostgresServer;
  /** Changes how the gateway reaches its upstream. */
  readonly upstream?: Partial<UpstreamFiles>;
  /** Run in the test's database after the shop was loaded, as superuser. The shop is left out when `dataset` is null. */
  readonly schemaSql?: string;
  readonly dataset?: DatasetSize | null;
  readonly clock?: Clock;
  /** A console, for {@link consoleAudience}; `oidc` is merged over what every console of a test has. */
  readonly console?: {
    readonly oidc?: JsonObject;
    readonly roles?: JsonObject;
    readonly url?: string;
    readonly listen?: string;
  };
  readonly desk?: ApprovalDesk;
}

/** The audience of tokens for the API of the console. */
export const consoleAudience = 'https://console.sallyport.example';

/** Groups that have roles at the console of a test. */
const consoleRoles = { viewer: ['staff'], approver: ['dba'], admin: ['platform'] };

/** A gateway under test. */
export interface TestGateway {
  readonly host: string;
  readonly port: number;
  /** PEM that the client verifies the gateway with. */
  readonly ca: string;
  readonly admin: { readonly host: string; readonly port: number; readonly url: string };
  /** The name of the test's own database, behind the upstream `orders`. */
  readonly database: string;
  /** The role at the upstream behind the login `agent`. */
  readonly role: string;
  readonly files: GatewayFiles;
  readonly auditFile: string;
  readonly recordDir: string;
  /** Seals the audit trail. */
  readonly key: Buffer;
  readonly oidc: Oidc;
  readonly pg: PostgresServer;
  readonly gateway: RunningGateway;
  /** Log lines of the gateway so far. */
  readonly log: readonly string[];
  /** An access token. The subject is `test-agent` of the group `support` unless something else is said. */
  token(subject?: string, request?: Partial<TokenRequest>): Promise<string>;
  /** What node-postgres needs to connect as an agent; a fresh token unless one is given. */
  client(options?: { token?: string } & pg.ClientConfig): Promise<pg.ClientConfig>;
  /** A connected node-postgres client; ended by `stop` at the latest. */
  connect(options?: { token?: string } & pg.ClientConfig): Promise<pg.Client>;
  /** SQL at the upstream itself, as superuser, in the test's database. */
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** The audit events so far, parsed. */
  audit(): Promise<readonly JsonObject[]>;
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
  reload(): Promise<void>;
  /** Drains and closes the gateway, then everything that was started for it. */
  stop(): Promise<void>;
}

/** Starts one. Takes about two seconds with an own PostgreSQL, well below one with a shared one. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-gateway-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true, maxRetries: 3 })];
  const stop = async () => {
    for (const undo of stops.splice(0).toReversed()) await undo();
  };
  try {
    return await startIn(directory, options, stops, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startIn(
  directory: string,
  options: TestGatewayOptions,
  stops: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<TestGateway> {
  const server = options.postgres ?? (await startPostgres());
  if (options.postgres === undefined) stops.push(() => server.stop());
  const database = await server.createDatabase();
  const role = `agent_${randomBytes(4).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  const sql = (text: string) => server.psql(text, { database });
  await load(sql, options, role, password);

  const oidc = await startOidc();
  stops.push(() => oidc.stop());
  const files = await writeGatewayFiles({
    directory,
    issuer: oidc.issuer,
    audience: oidc.audience,
    bundle: options.bundle ?? defaultBundle,
    data: merge(await repositoryData(), options.data ?? {}),
    ...(options.limits && { limits: options.limits }),
    config: {
      ...options.config,
      ...(options.console && { console: consoleConfig(oidc.issuer, options.console) }),
    },
    upstreams: [
      {
        name: 'orders',
        host: server.host,
        port: server.port,
        ca: server.ca,
        logins: { agent: { user: role, password } },
        ...options.upstream,
      },
    ],
  });
  const log: string[] = [];
  const gateway = await startGateway(await loadConfig(files.configFile), {
    log: createLog(options.clock ?? systemClock, (line) => log.push(line)),
    ...(options.clock && { clock: options.clock }),
    ...(options.desk && { desk: options.desk }),
  });
  stops.push(() => gateway.close());

  const { host, port } = gateway.listeners[0] ?? { host: '', port: 0 };
  const url = `http://${gateway.admin.host}:${gateway.admin.port}`;
  const token: TestGateway['token'] = (subject = 'test-agent', request = {}) =>
    oidc.token({ subject, groups: ['support'], ...request });
  const client: TestGateway['client'] = async ({ token: given, ...rest } = {}) => ({
    host,
    port,
    database,
    user: 'agent',
    password: given ?? (await token()),
    ssl: { ca: files.ca },
    ...rest,
  });
  return {
    host,
    port,
    ca: files.ca,
    admin: { ...gateway.admin, url },
    database,
    role,
    files,
    auditFile: files.auditFile,
    recordDir: files.recordDirectory,
    key: files.auditKey,
    oidc,
    pg: server,
    gateway,
    log,
    token,
    client,
    async connect(given) {
      const connected = new pg.Client(await client(given));
      // An error outside a query (the gateway ends the session) is the test's to see by its next query.
      connected.on('error', () => {});
      await connected.connect();
      stops.push(() => connected.end());
      return connected;
    },
    sql,
    audit: () => trailOf(gateway, files.auditFile),
    metrics: async () => await (await fetch(`${url}/metrics`)).text(),
    reload: () => gateway.reload(),
    stop,
  };
}

/** `console:` of a test, on a free port. */
export function consoleConfig(
  issuer: string,
  { oidc, roles, ...rest }: NonNullable<TestGatewayOptions['console']>,
): JsonObject {
  return {
    listen: '127.0.0.1:0',
    oidc: { issuer, audience: consoleAudience, allow_insecure_http: true, ...oidc },
    roles: roles ?? consoleRoles,
    ...rest,
  };
}

async function load(
  sql: (text: string) => Promise<unknown>,
  options: TestGatewayOptions,
  role: string,
  password: string,
): Promise<void> {
  const size = options.dataset === undefined ? smallDataset : options.dataset;
  if (size === null) {
    await sql(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
  } else {
    await sql(schemaSql);
    for (const insert of datasetSql(size)) await sql(insert);
    await sql(roleSql(role, password));
  }
  if (options.schemaSql !== undefined) await sql(options.schemaSql.replaceAll(':role', role));
}

/** Everything a gateway audited so far; refusals are on their way to the file for a moment. */
export async function trailOf(gateway: RunningGateway, file: string): Promise<JsonObject[]> {
  await gateway.flushAudit();
  return parseTrail(await readFile(file, 'utf8'));
}

/** The lines of an audit trail; one that is still being written is left out. */
export function parseTrail(text: string): JsonObject[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line): JsonObject => JSON.parse(line));
}

/** `data.config` as the repository ships it. */
export async function repositoryData(): Promise<JsonObject> {
  return JSON.parse(await readFile(join(repository, 'rego/data/config.json'), 'utf8'));
}

/** One object over another, deeply; `null` removes a key. */
export function merge(base: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, JsonObject[string]> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isObject(below) && isObject(value) ? merge(below, value) : value;
  }
  return merged;
}

function isObject(value: JsonObject[string] | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
