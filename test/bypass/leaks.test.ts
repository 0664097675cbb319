/**
 * Random statements by an agent that may do what the default policies let it, against a database in two variants that
 * differ in labelled values alone. It must not see, keep or infer any of these.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readRecording } from '../../proxy/record/reader.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { connectWire } from '../support/wire-client.ts';
import { MarkerSearch } from './leaks/markers.ts';
import { type Played, play } from './leaks/play.ts';
import { Random } from './leaks/random.ts';
import { labels, schemaSql, variantOf } from './leaks/schema.ts';
import { type Step, Steps, tagPattern } from './leaks/steps.ts';
import { openTap, type Tap } from './leaks/tap.ts';

/** Another seed, or more steps, by the environment: `LEAKS_SEED=7 LEAKS_STEPS=20000`. */
const seed = Number(process.env.LEAKS_SEED ?? 20_261_122);
const stepCount = Number(process.env.LEAKS_STEPS ?? 1_000);

const variants = { A: variantOf('A'), B: variantOf('B') };
const search = new MarkerSearch([variants.A.secrets, variants.B.secrets]);

let postgres: PostgresServer;
let tap: Tap;
let gateway: TestGateway;
let steps: readonly Step[];
let playedA: Played;
let playedB: Played;

beforeAll(async () => {
  postgres = await startPostgres();
  tap = await openTap(postgres);
  gateway = await startTestGateway({
    postgres,
    dataset: null,
    schemaSql,
    data: labels,
    upstream: { host: '127.0.0.1', port: tap.port, ca: undefined },
  });
  const maker = new Steps(new Random(seed));
  steps = Array.from({ length: stepCount }, () => maker.step());
  await gateway.sql(variants.A.sql);
  playedA = await play(await login(), steps);
  await gateway.sql(variants.B.sql);
  playedB = await play(await login(), steps);
  report(playedA);
}, 180_000);

afterAll(async () => {
  await gateway?.stop();
  await tap?.close();
  await postgres?.stop();
});

async function login() {
  const { host, port, ca, database } = gateway;
  return { host, port, ca, database, user: 'agent', password: await gateway.token(), timeoutMs: 30_000 };
}

function report({ tally }: Played): void {
  const { allowed, refused, errors, codes } = tally;
  const all = allowed + refused + errors;
  const share = (count: number) => `${count} (${Math.round((100 * count) / all)} %)`;
  const by = [...codes].sort((one, other) => other[1] - one[1]).map(([code, count]) => `${code} ${count}`);
  process.stdout.write(
    `leaks: seed ${seed}, ${all} statements a run: ${share(allowed)} allowed, ${share(refused)} refused, ${share(errors)} errors; ${by.join(', ')}\n`,
  );
}

describe('random statements', () => {
  test('get through in at least two of five cases, or nothing is shown here', () => {
    const { allowed, refused, errors } = playedA.tally;
    expect(allowed / (allowed + refused + errors)).toBeGreaterThan(0.4);
  });

  test('bring no labelled value to the client, whole or in part or transformed', () => {
    expect(search.find(playedA.received)).toBeUndefined();
    expect(search.find(playedB.received)).toBeUndefined();
  });

  test('are answered the same whatever the labelled values are', () => {
    const different = steps.flatMap(({ sql }, index) => {
      const [one, other] = [playedA.answers[index], playedB.answers[index]];
      return one === other ? [] : [{ sql, A: one, B: other }];
    });
    expect(different.slice(0, 3)).toEqual([]);
  });

  test('end no connection', () => {
    expect([...playedA.ended, ...playedB.ended]).toEqual([]);
  });

  test('leave a connection that works', async () => {
    const client = await connectWire(await login());
    expect(await client.ping()).toBe('I');
    await client.end();
  });

  test('are run by the upstream as often as the audit trail says they were allowed, each of them', async () => {
    const events = (await gateway.audit()).filter(({ event, effect }) => event === 'decided' && effect === 'allow');
    const allowed = (via: string, phase: string | undefined) =>
      events.filter((event) => (event.operation as { via?: string }).via === via && event.phase === phase);
    const tags = (of: readonly { readonly text?: unknown }[]) => {
      const counts = new Map<number, number>();
      for (const { text } of of) {
        const tag = Number(tagPattern.exec(String(text))?.[1]);
        counts.set(tag, (counts.get(tag) ?? 0) + 1);
      }
      return counts;
    };
    expect(tags(allowed('simple', undefined))).toEqual(tap.seen.queries);
    expect(tags(allowed('extended', 'prepare'))).toEqual(tap.seen.parses);
    expect(allowed('extended', undefined).length).toBe(tap.seen.executes);
  });

  test('leave no labelled value in audit trail, recordings, log or metrics', async () => {
    const metrics = Buffer.from(await gateway.metrics());
    await gateway.gateway.close();
    const kept = [
      ['metrics', metrics],
      ['log', Buffer.from(gateway.log.join('\n'))],
      ['audit', await readFile(gateway.auditFile)],
      ...(await recordings(gateway.recordDir)),
    ] as const;
    const leaks = kept.flatMap(([where, bytes]) => {
      const found = search.find(bytes);
      return found === undefined ? [] : [`${where}: ${found}`];
    });
    expect(leaks).toEqual([]);
  });
});

/** The frames of every recording, unpacked. */
async function recordings(directory: string): Promise<[string, Buffer][]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const texts: [string, Buffer][] = [];
  texts.push(['index of recordings', await readFile(join(directory, 'index.jsonl'))]);
  for (const entry of entries.filter(({ name }) => name.endsWith('.sprec'))) {
    const frames: Buffer[] = [];
    for await (const { data } of readRecording(join(entry.parentPath, entry.name))) {
      frames.push(Buffer.from(data instanceof Uint8Array ? data : JSON.stringify(data)));
    }
    texts.push([`recording ${entry.name}`, Buffer.concat(frames)]);
  }
  return texts;
}
