import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { RecordFrame } from '../../../proxy/core/ports.ts';
import { castLines, NothingToShow, RecordingDamaged, readCast, readRecording } from '../../../proxy/record/index.ts';
import { recordedSsh } from './ssh-session.ts';

async function cast(file: string, version: 2 | 3 = 3, operation?: string): Promise<unknown[]> {
  const lines: unknown[] = [];
  for await (const line of castLines(await readCast(() => readRecording(file), operation), version)) {
    expect(line).not.toContain('\n');
    lines.push(JSON.parse(line));
  }
  return lines;
}

const output = (lines: readonly unknown[]): string =>
  lines.flatMap((line) => (Array.isArray(line) && line[1] === 'o' ? [String(line[2])] : [])).join('');

describe('a session as an asciicast', () => {
  test('has its commands behind prompts, what was shown, sizes, markers, and the last exit status', async () => {
    expect(await cast(await recordedSsh())).toEqual([
      {
        version: 3,
        term: { cols: 100, rows: 30, type: 'xterm' },
        timestamp: Date.parse('2026-11-22T09:00:00.000Z') / 1000,
        title: 'triage-bot at web1',
      },
      [0, 'm', 'ls'],
      [0, 'o', '$ ls\r\n> # \\u001b[2J\r\n'],
      [1.5, 'o', 'one\r\ntwo '],
      [0, 'o', 'warn\r'],
      [0, 'o', '\n'],
      [0.25, 'o', '€\ufffd'],
      [1, 'm', 'rm -rf /'],
      [0, 'o', '\r\n$ rm -rf /\r\n'],
      [0, 'm', 'refused: exec_unknown'],
      [0, 'o', '[sallyport: refused: No. (hosts/exec_unknown)]\r\n'],
      [5, 'm', '(shell)'],
      [0, 'o', '$ (shell)\r\n'],
      [0.01, 'o', '\u001b]0;t\u0007$ \u001b[1mhi\u001b[0m\n\r\n'],
      [0.01, 'r', '120x40'],
      [0, 'o', '[sallyport: what follows of stdout was not recorded]\r\n'],
      [0.03, 'o', '[sallyport: upload /tmp/a, 3 bytes]\r\n'],
      [0, 'o', '[sallyport: forwarded to db:5432, 1 bytes up, 2 bytes down]\r\n'],
      [0, 'x', '143'],
    ]);
  });

  test('counts time from the beginning in version 2, and has no exit status there', async () => {
    const [header, ...events] = await cast(await recordedSsh(), 2);
    expect(header).toMatchObject({ version: 2, width: 100, height: 30, env: { TERM: 'xterm' } });
    expect(events).toContainEqual([1.75, 'o', '€\ufffd']);
    expect(events.at(-1)).toEqual([7.8, 'o', '[sallyport: forwarded to db:5432, 1 bytes up, 2 bytes down]\r\n']);
  });

  test('can be that of one operation', async () => {
    expect(await cast(await recordedSsh(), 3, 'd.1')).toEqual([
      expect.objectContaining({ term: { cols: 80, rows: 24 }, command: 'ls\n# \u001b[2J' }),
      [0, 'm', 'ls'],
      [0, 'o', '$ ls\r\n> # \\u001b[2J\r\n'],
      [1.5, 'o', 'one\r\ntwo '],
      [0, 'o', 'warn\r'],
      [0, 'o', '\n'],
      [0.25, 'o', '€\ufffd'],
      [0, 'x', '2'],
    ]);
    await expect(cast(await recordedSsh(), 3, 'd.9')).rejects.toThrow(NothingToShow);
  });

  test('shows one command after the other also where they ran at the same time', async () => {
    const frames: [number, RecordFrame][] = [
      [0, { decisionId: 'a', kind: 'command', data: { kind: 'exec', text: 'first', pty: null } }],
      [10, { decisionId: 'b', kind: 'command', data: { kind: 'exec', text: 'second', pty: null } }],
      [10, { decisionId: 'a', kind: 'stdout', data: Buffer.from('1\n') }],
      [10, { decisionId: 'b', kind: 'stdout', data: Buffer.from('2\n') }],
      [10, { decisionId: 'a', kind: 'exit', data: { status: 0, signal: null } }],
      [10, { decisionId: 'b', kind: 'exit', data: { status: 1, signal: null } }],
    ];
    const lines = await cast(await recordedSsh(frames));
    expect(output(lines)).toBe('$ first\r\n1\r\n$ second\r\n2\r\n');
    expect(lines.slice(1).map((line) => Object(line)[0])).toEqual([0, 0, 0.02, 0, 0, 0.02, 0.02]);
  });

  test('is the same output in whatever pieces it was recorded', async () => {
    const text = Buffer.from('a\r\n\nü€😀\r\n\n\rb\r');
    const expected = 'a\r\n\r\nü€😀\r\n\r\n\rb\r';
    for (let at = 0; at <= text.length; at++) {
      const pieces = [text.subarray(0, at), text.subarray(at)];
      const command: [number, RecordFrame] = [
        0,
        { decisionId: 'a', kind: 'command', data: { kind: 'exec', text: 'x', pty: null } },
      ];
      const frames = pieces.map((data): [number, RecordFrame] => [0, { decisionId: 'a', kind: 'stdout', data }]);
      expect(output(await cast(await recordedSsh([command, ...frames])))).toBe(`$ x\r\n${expected}`);
    }
  });

  test('shows what can be trusted of a damaged recording, then fails', async () => {
    const file = await recordedSsh();
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(file, bytes);
    await expect(cast(file)).rejects.toThrow(NothingToShow);
    const whole = await recordedSsh(
      Array.from({ length: 40 }, (_, index): [number, RecordFrame] => [
        1_000,
        {
          decisionId: 'a',
          kind: index === 0 ? 'command' : 'stdout',
          data: index === 0 ? { text: 'x' } : Buffer.alloc(4_000, 'y'),
        },
      ]),
    );
    const large = readFileSync(whole);
    large[large.length - 1] = (large.at(-1) ?? 0) ^ 1;
    writeFileSync(whole, large);
    const events: unknown[] = [];
    const { events: film } = await readCast(() => readRecording(whole));
    await expect(
      (async () => {
        for await (const event of film) events.push(event);
      })(),
    ).rejects.toThrow(RecordingDamaged);
    expect(events.length).toBeGreaterThan(20);
  });

  test('of a session without commands does not exist', async () => {
    const refused: [number, RecordFrame] = [
      0,
      { decisionId: 'a', kind: 'refused', data: { code: 'c', policy: null, message: 'm' } },
    ];
    await expect(cast(await recordedSsh([refused]))).rejects.toThrow(NothingToShow);
  });
});
