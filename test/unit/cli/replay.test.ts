import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { run } from '../../../proxy/cli/replay.ts';
import { copyData, dataRow } from '../record/messages.ts';
import { fileOf, recorderAt, SteppedClock, scratch, sessionInit } from '../record/support.ts';

async function replay(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const stdout = { write: (text: string) => (out += text) };
  const stderr = { write: (text: string) => (err += text) };
  return { code: await run(args, { stdout, stderr, env: {} }), out, err };
}

/** A session with a query, a refusal, a COPY that was cut, and an error. */
async function recorded(): Promise<string> {
  const directory = scratch();
  const clock = new SteppedClock();
  const { recorder } = recorderAt(directory, clock);
  const session = recorder.open(sessionInit());
  const parameters = [
    { type: 23, value: '7' },
    { type: 25, value: 'a1b2', hashed: true },
    { type: 25, value: null },
    { type: 25, hash: 'c3d4' },
  ];
  session.frame({ decisionId: 'd.1', kind: 'statement', data: { text: 'select *\nfrom t', parameters } });
  clock.ms += 1_234;
  session.frame({ decisionId: 'd.1', kind: 'columns', data: { names: ['id', 'email'], types: [23, 25] } });
  const rows = Buffer.concat([dataRow('1', '***'), dataRow('2', null)]);
  session.frame({ decisionId: 'd.1', kind: 'rows', data: rows.subarray(0, 20) });
  session.frame({ decisionId: 'd.1', kind: 'rows', data: rows.subarray(20) });
  session.frame({
    decisionId: 'd.1',
    kind: 'complete',
    data: { status: 'ok', tag: 'SELECT 2', rows: 2, masked_cells: 2 },
  });
  session.frame({ decisionId: 'd.2', kind: 'refused', data: { code: 'pii_range', policy: 'pii', message: 'No.' } });
  session.frame({ decisionId: 'd.3', kind: 'statement', data: { text: 'copy t to stdout' } });
  session.frame({
    decisionId: 'd.3',
    kind: 'rows',
    data: Buffer.concat([copyData('3\t\u001b[31m\n'), copyData('4').subarray(0, 4)]),
  });
  session.frame({
    decisionId: 'd.3',
    kind: 'complete',
    data: { status: 'error', sqlstate: '57014', message: 'canceled' },
  });
  await session.close({ status: 'ok' });
  return fileOf(directory);
}

test('a recording is printed as a timeline that a person can follow', async () => {
  const { code, out } = await replay(await recorded());
  expect(code).toBe(0);
  expect(out.replace(/"bytes":\d+/, '"bytes":0')).toBe(
    `session        01JABCDEFGHJKMNPQRSTVWXYZ0
protocol       postgres
upstream       orders
subject        {"id":"triage-bot"}
      0.000s  > select *\\nfrom t
              $1 = "7"
              $2 = a1b2 (hash)
              $3 = NULL
              $4 = c3d4 (hash)
      1.234s    id | email
              1 | ***
              2 | NULL
      1.234s  < ok SELECT 2 (2 rows, 2 cells masked)
      1.234s  ! refused: pii_range — pii — No.
      1.234s  > copy t to stdout
              3\t\\u001b[31m
              … (the rest was not recorded)
      1.234s  < error 57014 canceled
      1.234s  end {"outcome":{"status":"ok"},"totals":{"frames":9,"bytes":0,"truncated":0}}
`,
  );
});

test('as JSON every frame is one line', async () => {
  const { out } = await replay(await recorded(), '--json');
  const frames = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(frames.map(({ kind }) => kind)).toEqual([
    ...[
      'header',
      'statement',
      'columns',
      'rows',
      'rows',
      'complete',
      'refused',
      'statement',
      'rows',
      'complete',
      'end',
    ],
  ]);
  expect(frames[3]).toMatchObject({ time_ms: 1_234, decision_id: 'd.1', data: { base64: expect.any(String) } });
});

test('a recording without its end says so', async () => {
  const file = await recorded();
  writeFileSync(file, readFileSync(file).subarray(0, -1));
  const { code, out } = await replay(file);
  expect(code).toBe(0);
  expect(out).toContain('the recording ends here without its end');
});

test('a damaged recording prints what can be trusted, and exits with 1', async () => {
  const file = await recorded();
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(file, bytes);
  const { code, out, err } = await replay(file);
  expect(code).toBe(1);
  expect(out).toContain('triage-bot');
  expect(err).toContain('segment 0 is damaged');
});

test('called without a file it says how it is called', async () => {
  await expect(replay()).rejects.toThrow(/FILE/);
  await expect(replay('a', 'b')).rejects.toThrow(/FILE/);
});
