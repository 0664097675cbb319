/** The PostgreSQL path beside PgBouncer and the direct connection, with PostgreSQL's own load generator. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { cpuSeconds, interleave, median, ratio, residentKib, rounded } from './measure.ts';
import { openStage, type Stage, type Way } from './stage.ts';

const run = promisify(execFile);
const clients = 8;
const bulkRows = 1_000_000;
const warmConnections = 50;
const idleConnections = 250;

/** How long and how often. */
export interface Effort {
  readonly rounds: number;
  /** Length of one pgbench run. */
  readonly seconds: number;
}

/** Runs them all and prints what it measures as it goes. */
export async function postgresFigures(effort: Effort): Promise<Record<string, number>> {
  const stage = await openStage(10);
  try {
    // Idle memory first: what load left behind would hide it.
    const figures = await idleMemory(stage);
    for (const mode of ['simple', 'extended', 'prepared'] as const)
      Object.assign(figures, await throughput(stage, mode, effort));
    Object.assign(figures, await bulk(stage, effort), await maskedRows(stage, effort));
    return figures;
  } finally {
    await stage.stop();
  }
}

async function throughput(stage: Stage, mode: string, { rounds, seconds }: Effort): Promise<Record<string, number>> {
  const cpu: Record<string, number[]> = { pgbouncer: [], gateway: [], masking: [] };
  const measure = (name: string, way: Way) => async () => {
    const before = way.pid === undefined ? Number.NaN : cpuSeconds(way.pid);
    const { tps, transactions } = await pgbench(way, [
      '-S',
      '-M',
      mode,
      '-c',
      String(clients),
      '-j',
      '2',
      '-T',
      String(seconds),
    ]);
    if (way.pid !== undefined) cpu[name]?.push(((cpuSeconds(way.pid) - before) * 1e6) / transactions);
    return tps;
  };
  const results = await interleave(
    {
      direct: measure('direct', stage.direct),
      pgbouncer: measure('pgbouncer', stage.pgbouncer),
      gateway: measure('gateway', stage.gateway),
      masking: measure('masking', stage.masking),
    },
    rounds,
  );
  say(`pgbench -S -M ${mode}, ${clients} clients, ${rounds} rounds of ${seconds} s`);
  for (const [name, values] of Object.entries(results)) {
    say(
      `  ${name.padEnd(10)} ${median(values).toFixed(0).padStart(7)} tps ` +
        `${ratio(values, results.direct).toFixed(2)} x direct ${ratio(values, results.pgbouncer).toFixed(2)} x PgBouncer ` +
        `${cpu[name] ? `${median(cpu[name]).toFixed(0)} us of processor time a statement` : ''}`,
    );
  }
  const name = `pg_${mode}_${clients}`;
  return {
    [`${name}_vs_pgbouncer`]: rounded(ratio(results.gateway, results.pgbouncer)),
    [`${name}_vs_direct`]: rounded(ratio(results.gateway, results.direct)),
    [`${name}_masking_vs_pgbouncer`]: rounded(ratio(results.masking, results.pgbouncer)),
    [`${name}_cpu_us`]: rounded(median(cpu.gateway ?? [])),
  };
}

/** A million rows out by COPY: rows a second. */
async function bulk(stage: Stage, { rounds }: Effort): Promise<Record<string, number>> {
  const sql = `COPY (SELECT aid, bid, abalance, filler FROM pgbench_accounts ORDER BY aid LIMIT ${bulkRows}) TO STDOUT`;
  const measure = (way: Way) => async () => await copied(way, sql);
  const results = await interleave(
    {
      direct: measure(stage.direct),
      pgbouncer: measure(stage.pgbouncer),
      gateway: measure(stage.gateway),
      masking: measure(stage.masking),
    },
    Math.max(3, Math.ceil(rounds / 2)),
  );
  say(`COPY of ${bulkRows} rows`);
  for (const [name, values] of Object.entries(results)) {
    say(
      `  ${name.padEnd(10)} ${median(values).toFixed(0).padStart(8)} rows/s ${ratio(values, results.pgbouncer).toFixed(2)} x PgBouncer`,
    );
  }
  return {
    pg_bulk_vs_pgbouncer: rounded(ratio(results.gateway, results.pgbouncer)),
    pg_bulk_masked_vs_pgbouncer: rounded(ratio(results.masking, results.pgbouncer)),
  };
}

/** One client that reads 1,000 rows at a time: time with a masked column by time without. */
async function maskedRows(stage: Stage, { rounds, seconds }: Effort): Promise<Record<string, number>> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
  const script = join(directory, 'rows.sql');
  await writeFile(script, 'SELECT aid, bid, abalance, filler FROM pgbench_accounts WHERE aid <= 1000;\n');
  const measure = (way: Way) => async () =>
    1e6 / (await pgbench(way, ['-n', '-f', script, '-M', 'prepared', '-c', '1', '-T', String(seconds)])).tps;
  const results = await interleave(
    { pgbouncer: measure(stage.pgbouncer), gateway: measure(stage.gateway), masking: measure(stage.masking) },
    rounds,
  );
  await rm(directory, { recursive: true });
  say('1,000 rows, one client');
  for (const [name, values] of Object.entries(results))
    say(`  ${name.padEnd(10)} ${median(values).toFixed(0).padStart(6)} us`);
  return { pg_masked_1000_vs_unmasked: rounded(ratio(results.masking, results.gateway)) };
}

/** What an idle connection costs the gateway in resident memory. */
async function idleMemory(stage: Stage): Promise<Record<string, number>> {
  const { environment, pid } = stage.gateway;
  if (pid === undefined) return {};
  const connect = async () => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: Number(environment.PGPORT),
      user: environment.PGUSER ?? '',
      password: environment.PGPASSWORD ?? '',
      database: environment.PGDATABASE ?? '',
      ssl: { rejectUnauthorized: false },
    });
    await client.connect();
    return client;
  };
  const open: pg.Client[] = [];
  // The first ones pay for what all share, and for garbage that is still to be collected.
  for (let index = 0; index < warmConnections; index++) open.push(await connect());
  const before = residentKib(pid);
  for (let index = 0; index < idleConnections; index++) open.push(await connect());
  const each = (residentKib(pid) - before) / idleConnections;
  await Promise.all(open.map((client) => client.end()));
  say(`an idle connection: ${each.toFixed(0)} KiB`);
  return { pg_idle_connection_kib: rounded(each) };
}

async function pgbench(way: Way, options: readonly string[]): Promise<{ tps: number; transactions: number }> {
  const { stdout } = await run('pgbench', ['-n', ...options], { env: way.environment, maxBuffer: 1 << 24 });
  const tps = Number(/tps = ([\d.]+) \(without/.exec(stdout)?.[1]);
  const transactions = Number(/actually processed: (\d+)/.exec(stdout)?.[1]);
  if (!(tps > 0) || /number of failed transactions: [1-9]/.test(stdout)) throw new Error(`pgbench failed:\n${stdout}`);
  return { tps, transactions };
}

/** Rows a second that psql writes to its standard output. */
async function copied(way: Way, sql: string): Promise<number> {
  const started = performance.now();
  const child = spawn('psql', ['-X', '-q', '-c', sql], { env: way.environment, stdio: ['ignore', 'pipe', 'inherit'] });
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
  if (bytes < bulkRows) throw new Error(`COPY gave ${bytes} bytes only`);
  return (bulkRows * 1000) / (performance.now() - started);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
