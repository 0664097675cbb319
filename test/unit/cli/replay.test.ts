import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { play } from '../../../proxy/cli/replay/play.ts';
import { terminalReset } from '../../../proxy/cli/replay/terminal-filter.ts';
import { run } from '../../../proxy/cli/replay.ts';
import { type CastEvent, recordingKey } from '../../../proxy/record/index.ts';
import { copyData, dataRow } from '../record/messages.ts';
import { recordedSsh } from '../record/ssh-session.ts';
import { fileOf, recorderAt, SteppedClock, scratch, sessionId, sessionInit } from '../record/support.ts';

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

describe('a recording over SSH', () => {
  test('is printed with commands, output line by line, and how each ended', async () => {
    const { code, out } = await replay(await recordedSsh());
    expect(code).toBe(0);
    expect(out.slice(out.indexOf('      0.000s'), out.indexOf('  end {'))).toBe(
      `      0.000s  > ls\\n# \\u001b[2J  [d.1]
              one
              2> warn
              two €\ufffd
      1.750s  < exit 2 (20 bytes, 1 masked)
      2.750s  > rm -rf /  [d.2]
      2.750s  ! refused: exec_unknown — hosts — No.
      7.750s  > (shell)  [d.3]
              on a terminal: 100x30 xterm
              \\u001b]0;t\\u0007$ \\u001b[1mhi\\u001b[0m
              
      7.770s    the terminal is now 120x40
      7.770s  … not recorded: stdout, bound
      7.800s  < signal TERM (9 bytes)
              … 5 bytes of stdout were not recorded, SHA-256 ab
      7.800s  = upload /tmp/a (3 bytes, SHA-256 cd), not complete
      7.800s  = forwarded to db:5432 (1 bytes up, 2 bytes down)
      7.800s`,
    );
  });

  test('is written as an asciicast, of one operation or all, in either version', async () => {
    const file = await recordedSsh();
    const whole = await replay(file, '--asciicast');
    expect(whole.code).toBe(0);
    expect(JSON.parse(whole.out.split('\n')[0] ?? '')).toMatchObject({ version: 3, term: { cols: 100, rows: 30 } });
    const one = await replay(file, '--asciicast', '--version', '2', '--operation', 'd.1');
    expect(JSON.parse(one.out.split('\n')[0] ?? '')).toMatchObject({ version: 2, width: 80 });
    expect(one.out).not.toContain('rm -rf');
    expect(await replay(file, '--asciicast', '--operation', 'd.9')).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('no such operation'),
    });
    expect(await replay(await recorded(), '--asciicast')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no commands'),
    });
  });

  test('is played only on a terminal, without what could harm it', async () => {
    const file = await recordedSsh();
    await expect(replay(file, '--play')).rejects.toThrow(/terminal/);
    let out = '';
    const stdout = { write: (text: string) => (out += text), isTTY: true };
    const stderr = { write: (text: string) => text };
    const operation = ['--operation', 'd.3', '--idle-limit', '0.001', '--speed', '100'];
    expect(await run([file, '--play', ...operation], { stdout, stderr, env: {} })).toBe(0);
    expect(out).toContain('$ (shell)\r\n$ \u001b[1mhi\u001b[0m\n\r\n');
    expect(out).not.toContain('\u001b]');
  });

  test.each([
    [['--play', '--json'], /exclude/],
    [['--asciicast', '--version', '1'], /2 or 3/],
    [['--version', '2'], /--asciicast/],
    [['--operation', 'x'], /--play/],
    [['--speed', '2'], /--play/],
    [['--play', '--speed', '0'], /over 0/],
    [['--play', '--idle-limit', 'x'], /over 0/],
  ])('options that do not go together are refused: %j', async (options, message) => {
    await expect(replay('file', ...options)).rejects.toThrow(message);
  });
});

test('a show keeps the pauses, within the limit and at the speed asked for, and leaves the terminal in order', async () => {
  const waits: number[] = [];
  let out = '';
  async function* events(): AsyncGenerator<CastEvent> {
    yield { code: 'o', afterMs: 0, data: 'a\u001b[?25l' };
    yield { code: 'm', afterMs: 100, data: 'not shown' };
    yield { code: 'o', afterMs: 9_000, data: 'b' };
    yield { code: 'o', afterMs: 7, data: 'c' };
  }
  const options = { write: (text: string) => (out += text), speed: 2, idleLimitMs: 1_000 };
  const wait = async (ms: number): Promise<void> => {
    waits.push(ms);
    if (waits.length === 3) throw new Error('interrupted');
  };
  await expect(play(events(), { ...options, wait })).rejects.toThrow('interrupted');
  expect(waits).toEqual([50, 500, 3.5]);
  expect(out).toBe(`a\u001b[?25lb${terminalReset}`);
});

describe('a directory of encrypted recordings', () => {
  let directory = '';
  let keyFile = '';

  beforeEach(async () => {
    directory = scratch();
    keyFile = join(directory, 'key');
    writeFileSync(keyFile, 'k'.repeat(32), { mode: 0o600 });
    const { recorder } = recorderAt(directory, undefined, recordingKey(Buffer.from('k'.repeat(32))));
    const session = recorder.open(sessionInit());
    session.frame({ kind: 'statement', decisionId: 'd.1', data: { text: 'select 1', parameters: [] } });
    session.frame({ kind: 'refused', data: { code: 'pii_range', policy: 'pii', message: 'no' } });
    await session.close({ status: 'ok' });
  });

  test('is listed and searched', async () => {
    const { out } = await replay('--list', '--directory', directory, '--subject', 'triage-bot', '--code', 'pii_range');
    expect(out).toContain(`${sessionId}  `);
    expect(out).toContain('refused: pii_range');
    expect((await replay('--list', '--directory', directory, '--upstream', 'elsewhere')).out).toBe('');
    expect(JSON.parse((await replay('--list', '--json', '--directory', directory)).out)).toMatchObject({
      outcome: 'ok',
    });
  });

  test('shows a session with its key, by its id', async () => {
    const { code, out } = await replay(sessionId, '--directory', directory, '--key', `file:${keyFile}`);
    expect(code).toBe(0);
    expect(out).toContain('> select 1');
  });

  test('shows nothing without the key, and says why', async () => {
    const { code, out, err } = await replay(sessionId, '--directory', directory);
    expect(code).toBe(1);
    expect(out).not.toContain('select 1');
    expect(err).toContain('which was not given');
  });

  test('is needed to list anything', async () => {
    await expect(replay('--list')).rejects.toThrow(/--config FILE or --directory/);
    await expect(replay('--list', '--directory', directory, '--since', 'soon')).rejects.toThrow(/--since/);
  });
});
