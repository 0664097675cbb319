/**
 * Runs regression scripts' definitions on a server and compares every query and modification in them with what
 * the server says of it.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { type CatalogClassifier, createClassifier } from '../../proxy/protocols/postgres/classify.ts';
import {
  disagreements,
  type Origin,
  originDisagreements,
  type References,
  serverOrigins,
  serverReferences,
} from './oracle.ts';
import { statementsOf } from './psql-script.ts';

/** What came of a run. */
export interface Report {
  /** Statements the server accepted. */
  accepted: number;
  /** Of these, the ones over at least one relation. */
  overRelations: number;
  complete: number;
  completeOverRelations: number;
  /** Reasons of incompleteness, counted. */
  readonly reasons: Map<string, number>;
  readonly examples: Map<string, string>;
  /** Result columns of which the server gave an origin. */
  origins: number;
  readonly disagreements: string[];
}

/** One statement that reads or modifies rows, and nothing that defines. */
const candidate =
  /^\s*(?:(?:--[^\n]*\n|\/\*.*?\*\/)\s*)*(?:\(|select\b|insert\b|update\b|delete\b|merge\b|with\b|values\b|table\b)/is;
/** Statements whose effects later ones do not need. */
const skipped =
  /^\s*(?:copy|vacuum|analyze|explain|checkpoint|reindex|cluster|fetch|move|declare|close|execute|prepare|show|lock|listen|notify|refresh)\b/i;

/** Statements after which every name means what it did before. */
const harmless = /^\s*(?:begin|start|savepoint|release|set|reset|comment|grant|revoke|truncate|security|discard)\b/i;

/** Connects as a superuser. */
export async function connect(address: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(address);
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** A classifier over a client's connection. */
export function classifierOn(
  client: pg.Client,
  database: string,
  user: string,
  serverMajor = 18,
): Promise<CatalogClassifier> {
  return createClassifier({
    query: async (sql) => {
      // Named, so that the server plans each question once: definitions change the catalog all the time here.
      const name = createHash('sha256').update(sql).digest('hex').slice(0, 32);
      const prepared = sql.startsWith('SET') ? {} : { name };
      return (await client.query<(string | null)[]>({ ...prepared, text: sql, rowMode: 'array', types: asText })).rows;
    },
    serverMajor,
    searchPath: ['public'],
    database,
    user,
    clock: { monotonicMs: () => performance.now() },
  });
}

const asText = { getTypeParser: () => (value: string) => value };

/** Goes through one script. */
export async function compareScript(
  script: string,
  connections: { main: pg.Client; oracle: pg.Client; classifier: CatalogClassifier },
  report: Report,
  name: string,
): Promise<void> {
  const { main, oracle, classifier } = connections;
  let dirty = true;
  let comparable = true;
  for (const sql of statementsOf(script)) {
    if (!candidate.test(sql)) {
      if (skipped.test(sql)) continue;
      await main.query(sql).catch(() => {});
      dirty ||= !harmless.test(sql);
      if (/search_path|\breset\b|\bdiscard\b|\brollback\b|\bcommit\b/i.test(sql))
        comparable = await hasDefaultPath(main);
      continue;
    }
    if (!comparable) continue;
    const server = await serverReferences(oracle, sql);
    if (server === undefined) continue;
    if (dirty) {
      await classifier.invalidate();
      dirty = false;
    }
    const origins = await serverOrigins(oracle, sql);
    await compareStatement(sql, server, origins, classifier, report, name);
  }
  await main.query('ROLLBACK').catch(() => {});
  await main.query('RESET ALL').catch(() => {});
  await main.query('RESET SESSION AUTHORIZATION').catch(() => {});
}

async function hasDefaultPath(main: pg.Client): Promise<boolean> {
  try {
    const { rows } = await main.query<{ path: string }>(`SELECT current_setting('search_path') AS path`);
    return rows[0]?.path === '"$user", public';
  } catch {
    return true;
  }
}

async function compareStatement(
  sql: string,
  server: References,
  origins: readonly Origin[] | undefined,
  classifier: CatalogClassifier,
  report: Report,
  name: string,
): Promise<void> {
  const classification = await classifier.classify(Buffer.from(sql));
  const [statement] = 'statements' in classification ? classification.statements : [];
  const over = server.size > 0 || (statement?.relations.length ?? 0) > 0;
  report.accepted++;
  if (over) report.overRelations++;
  const reasons = 'fault' in classification ? [classification.fault.code] : (statement?.incomplete ?? ['empty']);
  if (reasons.length > 0 || statement === undefined) {
    if (over) {
      for (const reason of reasons) {
        report.reasons.set(reason, (report.reasons.get(reason) ?? 0) + 1);
        report.examples.set(`${reason} ${report.reasons.get(reason)}`, `${name}: ${sql}`);
      }
    }
    return;
  }
  report.complete++;
  if (over) report.completeOverRelations++;
  const found = disagreements(statement, server, sql);
  if (origins !== undefined) {
    report.origins += origins.filter((origin) => origin.column !== undefined).length;
    found.push(...originDisagreements(statement, origins));
  }
  for (const each of found) report.disagreements.push(`${name}: ${each}\n  ${sql}`);
}

/** A report of nothing yet. */
export function emptyReport(): Report {
  return {
    accepted: 0,
    overRelations: 0,
    complete: 0,
    completeOverRelations: 0,
    origins: 0,
    reasons: new Map(),
    examples: new Map(),
    disagreements: [],
  };
}
