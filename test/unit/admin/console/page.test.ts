import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type Entry, Timeline, withoutControls } from '../../../../proxy/admin/console/frames.ts';
import { historyWords, shown } from '../../../../proxy/admin/console/operation.ts';
import { Rows } from '../../../../proxy/admin/console/rows.ts';
import type { Frame, Json } from '../../../../proxy/admin/console/types.ts';
import { ago, bytes, span, stamp, visible } from '../../../../proxy/admin/console/words.ts';
import { buildConsole } from '../../../../scripts/console.ts';

test('what is committed in bundles/console is what the sources build', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-console-'));
  try {
    await buildConsole(folder);
    const committed = join(import.meta.dirname, '../../../../bundles/console');
    expect((await readdir(committed)).toSorted()).toEqual((await readdir(folder)).toSorted());
    for (const name of await readdir(folder)) {
      const [ours, theirs] = await Promise.all([readFile(join(committed, name)), readFile(join(folder, name))]);
      expect({ name, same: ours.equals(theirs) }).toEqual({ name, same: true });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);

describe('words', () => {
  test.each([
    [bytes(0), '0 bytes'],
    [bytes(999), '999 bytes'],
    [bytes(1_234), '1.2 kB'],
    [bytes(250_000_000), '250 MB'],
    [span(-5), '0 s'],
    [span(90_000), '90 s'],
    [span(600_000), '10 min'],
    [span(3 * 86_400_000), '3 days'],
    [ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:02Z')), 'just now'],
    [ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T01:00:00Z')), '60 min ago'],
    [stamp(62_345), '1:02.345'],
  ])('%s is %s', (said, expected) => {
    expect(said).toBe(expected);
  });

  test('text cannot hide or turn what an approver reads', () => {
    expect(visible('a\u202eb\u0007\u200bc\n\td')).toBe('a\\u202eb\\u0007\\u200bc\n\td');
  });
});

describe('an operation', () => {
  test.each([
    [
      'postgres',
      { text: 'DELETE FROM t', relations: ['public.t'] },
      { noun: 'statement', text: 'DELETE FROM t', literal: true },
    ],
    ['ssh', { text: 'rm -r /srv', commands: ['rm'] }, { noun: 'command', text: 'rm -r /srv', literal: true }],
    [
      'http',
      { method: 'POST', path: '/refunds', query: 'a=1' },
      { noun: 'request', text: 'POST /refunds?a=1', literal: true },
    ],
    ['http', { tool: 'refund', arguments: { amount: 5 } }, { noun: 'tool call', literal: true }],
    ['postgres', { text_hash: 'h' }, { text: 'delete orders/app', literal: false }],
  ])('of %s is shown as what runs (%j)', (protocol, operation, expected) => {
    expect(shown(protocol, 'delete', { id: 'orders/app' }, operation as Record<string, Json>)).toMatchObject(expected);
  });

  test('comes with what its subject did lately, where that says something', () => {
    expect(historyWords({ rows_read: 812, denials: 1, labels_read: ['pii'], approvals: 0, first_use: false })).toEqual([
      '812 rows read',
      'has read pii',
      'refused 1 time',
    ]);
  });
});

/** A DataRow. */
function dataRow(...values: (string | null)[]): Buffer {
  const columns = values.map((value) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(value === null ? -1 : Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value ?? '')]);
  });
  const head = Buffer.alloc(7);
  head.write('D', 'latin1');
  head.writeUInt32BE(6 + Buffer.concat(columns).length, 1);
  head.writeUInt16BE(values.length, 5);
  return Buffer.concat([head, ...columns]);
}

describe('rows', () => {
  const wire = Buffer.concat([dataRow('1', null, 'größe'), dataRow('2', '', 'x')]);
  const expected = [
    ['1', null, 'größe'],
    ['2', '', 'x'],
  ];

  test('are the same wherever their bytes are cut', () => {
    for (let cut = 0; cut <= wire.length; cut++) {
      const rows = new Rows();
      expect([...rows.push(wire.subarray(0, cut)), ...rows.push(wire.subarray(cut))]).toEqual(expected);
    }
  });

  test('that are none end the reading, and nothing else', () => {
    const rows = new Rows();
    expect(rows.push(Buffer.from('XXXXXXXX'))).toEqual([]);
    expect(rows.push(wire)).toEqual([]);
    expect(new Rows().push(Buffer.from([0x44, 0, 0, 0, 10, 0, 9, 0x7f, 0xff, 0xff, 0xff]))).toEqual([[]]);
  });
});

const frame = (kind: string, data: Json, decision = '1', base64 = false): Frame => ({
  time_ms: 5,
  kind,
  decision_id: decision,
  base64,
  data,
});
const raw = (kind: string, data: Buffer, decision = '1') => frame(kind, data.toString('base64'), decision, true);
const last = (frames: readonly Frame[]): Entry | undefined => {
  const timeline = new Timeline();
  timeline.push(frames);
  return timeline.entries.at(-1);
};

describe('a timeline', () => {
  test('has a statement with its rows and what came of it as one entry, in whatever pieces they come', () => {
    const frames = [
      frame('statement', { text: 'SELECT 1', parameters: [{ type: 'int4', value: '7' }] }),
      frame('columns', { names: ['a', 'b', 'c'] }),
      raw('rows', dataRow('1', null, 'x')),
      frame('complete', { status: 'ok', tag: 'SELECT 1', masked_cells: 2 }),
    ];
    const timeline = new Timeline();
    for (const one of frames) timeline.push([one]);
    expect(timeline.entries).toEqual([
      expect.objectContaining({
        title: 'SELECT 1\n$1 = 7',
        columns: ['a', 'b', 'c'],
        rows: [['1', null, 'x']],
        outcome: 'SELECT 1, 2 values masked',
        bad: false,
      }),
    ]);
    const whole = new Timeline();
    whole.push(frames);
    expect(whole.entries).toEqual(timeline.entries);
  });

  test('shows what a terminal showed without its control sequences', () => {
    const output = Buffer.from('\x1b[1;31mred\x1b[0m\x1b]0;title\x07 \x08plain\r\n');
    expect(
      last([frame('command', { text: 'ls' }), raw('stdout', output), frame('exit', { status: 2, signal: null })]),
    ).toMatchObject({
      title: 'ls',
      output: 'red plain\n',
      outcome: 'Exit status 2',
      bad: true,
    });
    expect(withoutControls('\x1bP1;2q\x1b\\x\x9b')).toBe('x');
  });

  test('has exchanges, refusals and notes', () => {
    const request = frame('request', { method: 'GET', path: '/users/7' });
    expect(last([request, frame('response', { status: 404 })])).toMatchObject({
      title: 'GET /users/7',
      outcome: 'Status 404',
      bad: true,
    });
    expect(last([frame('refused', { code: 'x', message: 'Not that.' })])).toMatchObject({
      outcome: 'Refused: Not that.',
      bad: true,
    });
    expect(last([frame('lost', { events: 3 })])).toMatchObject({
      kind: 'note',
      title: expect.stringContaining('3 frames'),
    });
  });

  test('is bounded in entries and rows', () => {
    const timeline = new Timeline();
    timeline.push(Array.from({ length: 2_500 }, (_, at) => frame('statement', { text: `SELECT ${at}` }, `${at}`)));
    expect(timeline.entries).toHaveLength(2_000);
    expect(timeline.entries.at(-1)?.title).toBe('SELECT 2499');
    const many = last([raw('rows', Buffer.concat(Array.from({ length: 300 }, () => dataRow('1'))))]);
    expect(many).toMatchObject({ hiddenRows: 100 });
    expect(many?.rows).toHaveLength(200);
  });
});
