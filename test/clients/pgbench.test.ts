import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { describePrograms, openStage, type Ran, run, type Stage } from './programs.ts';

const tables = ['pgbench_accounts', 'pgbench_branches', 'pgbench_tellers', 'pgbench_history'];

describePrograms(['pgbench'], (programs) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(programs, { dataset: null });
    const { gateway, direct } = stage;
    // As the superuser, at the server itself: making its tables is no agent's work.
    const superuser = { ...direct, PGUSER: gateway.pg.user, PGPASSWORD: gateway.pg.password };
    const { code, stderr } = await run(stage, 'pgbench', ['-i', '-q'], { environment: superuser });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    for (const table of tables) await gateway.sql(`ALTER TABLE ${table} OWNER TO ${gateway.role}`);
  });
  afterAll(() => stage.stop());
  beforeEach(() => stage.gateway.sql('TRUNCATE pgbench_history'));

  const pgbench = (...args: string[]): Promise<Ran> => run(stage, 'pgbench', args);

  /** What pgbench counted, of its report. */
  function counted({ code, stdout, stderr }: Ran) {
    const processed = /number of transactions actually processed: ([\d/]+)/.exec(stdout)?.[1];
    const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1];
    return { code, stderr: stderr.replace(/^(pgbench \(.*\)|starting vacuum\.\.\.end\.)\n/gm, ''), processed, failed };
  }

  test.each(['simple', 'extended', 'prepared'])('runs its standard transactions with %s queries', async (protocol) => {
    const ran = await pgbench('-M', protocol, '-c', '4', '-j', '2', '-t', '25');
    expect(counted(ran)).toEqual({ code: 0, stderr: '', processed: '100/100', failed: '0' });
    const [sums] = await stage.gateway.sql(`SELECT (SELECT count(*)::int FROM pgbench_history) AS history,
      (SELECT sum(delta) FROM pgbench_history) AS written, (SELECT sum(tbalance) FROM pgbench_tellers) AS tellers,
      (SELECT sum(bbalance) FROM pgbench_branches) AS branches`);
    expect(sums?.history).toBe(100);
    expect(sums?.tellers).toEqual(sums?.branches);
  });

  test.each(['simple', 'extended', 'prepared'])('selects with %s queries', async (protocol) => {
    const ran = await pgbench('-S', '-n', '-M', protocol, '-c', '8', '-j', '2', '-t', '50');
    expect(counted(ran)).toEqual({ code: 0, stderr: '', processed: '400/400', failed: '0' });
  });

  test('connects anew for every transaction', async () => {
    const ran = await pgbench('-C', '-S', '-n', '-c', '2', '-t', '5');
    expect(counted(ran)).toEqual({ code: 0, stderr: '', processed: '10/10', failed: '0' });
  });

  test.each(['extended', 'prepared'])('pipelines %s queries', async (protocol) => {
    const script = join(stage.directory, 'pipeline.sql');
    await writeFile(
      script,
      `\\set aid random(1, 100000)
      \\startpipeline
      BEGIN;
      SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
      UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
      SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
      INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, 1, CURRENT_TIMESTAMP);
      END;
      \\endpipeline\n`,
    );
    const ran = await pgbench('-n', '-f', script, '-M', protocol, '-c', '4', '-j', '2', '-t', '25');
    expect(counted(ran)).toEqual({ code: 0, stderr: '', processed: '100/100', failed: '0' });
    expect(await stage.gateway.sql('SELECT sum(delta)::int AS written FROM pgbench_history')).toEqual([
      { written: 100 },
    ]);
  });

  test('takes a value out of a query for the next', async () => {
    const script = join(stage.directory, 'gset.sql');
    await writeFile(
      script,
      'SELECT aid, bid FROM pgbench_accounts WHERE aid = 7 \\gset a_\nSELECT :a_aid / (:a_aid - 7 + :a_bid);\n',
    );
    const ran = await pgbench('-n', '-f', script, '-t', '5');
    expect(counted(ran)).toEqual({ code: 0, stderr: '', processed: '5/5', failed: '0' });
  });

  test.each(['simple', 'extended', 'prepared'])('says what was refused with %s queries', async (protocol) => {
    const script = join(stage.directory, 'refused.sql');
    await writeFile(script, 'DELETE FROM pgbench_history;\n');
    const { code, stderr } = await pgbench('-n', '-f', script, '-M', protocol, '-t', '1');
    expect(code).not.toBe(0);
    expect(stderr).toContain('change_without_where');
  });
});
