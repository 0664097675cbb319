import { describe, expect, test } from '@jest/globals';
import { type RecordedColumns, type RecordedRow, RowReader } from '../../../proxy/record/postgres-rows.ts';
import { copyData, dataRow } from './messages.ts';

function read(bytes: Uint8Array, columns?: RecordedColumns): RecordedRow[] {
  return [...new RowReader().push(bytes, columns)];
}

describe('rows of a recording', () => {
  const bytes = Buffer.concat([
    dataRow('1', 'Zoë', null, ''),
    copyData('a\tb\n'),
    dataRow(),
    dataRow(Buffer.from([0, 1, 255])),
  ]);
  const rows: RecordedRow[] = [
    { kind: 'row', values: ['1', 'Zoë', null, ''] },
    { kind: 'copy', text: 'a\tb\n' },
    { kind: 'row', values: [] },
    { kind: 'row', values: ['\\x0001ff'] },
  ];

  test('are read as text where they are text, and as hex where not', () => {
    expect(read(bytes)).toEqual(rows);
  });

  test('are the same wherever their frames were cut', () => {
    for (let one = 0; one <= bytes.length; one++) {
      for (let other = one; other <= bytes.length; other += 7) {
        const reader = new RowReader();
        const pieces = [bytes.subarray(0, one), bytes.subarray(one, other), bytes.subarray(other)];
        expect(pieces.flatMap((piece) => [...reader.push(piece)])).toEqual(rows);
        expect(reader.unfinishedBytes).toBe(0);
      }
    }
  });

  test('in binary are decoded where the type is known', () => {
    const value = (write: (buffer: Buffer) => void, bytes: number) => {
      const buffer = Buffer.alloc(bytes);
      write(buffer);
      return buffer;
    };
    const columns = { types: [20, 'int4', 21, 701, 'bool', 25, 23], formats: [1, 1, 1, 1, 1, 1, 1] };
    const row = dataRow(
      value((buffer) => buffer.writeBigInt64BE(-(2n ** 62n)), 8),
      value((buffer) => buffer.writeInt32BE(-5), 4),
      value((buffer) => buffer.writeInt16BE(7), 2),
      value((buffer) => buffer.writeDoubleBE(1.5), 8),
      value((buffer) => buffer.writeUInt8(1), 1),
      'text',
      Buffer.from([1, 2]),
    );
    expect(read(row, columns)).toEqual([
      { kind: 'row', values: ['-4611686018427387904', '-5', '7', '1.5', 't', 'text', '\u0001\u0002'] },
    ]);
  });

  test('that are cut off are counted, not guessed', () => {
    const reader = new RowReader();
    expect([...reader.push(bytes.subarray(0, bytes.length - 2))]).toHaveLength(3);
    expect(reader.unfinishedBytes).toBe(dataRow(Buffer.from([0, 1, 255])).length - 2);
  });

  test.each([
    ['another message', Buffer.from([0x5a, 0, 0, 0, 5, 0x49])],
    ['a length below its own size', Buffer.from([0x44, 0, 0, 0, 3, 0, 0])],
    ['a length no reader takes', Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff])],
    ['a row without a column count', Buffer.from([0x44, 0, 0, 0, 5, 0])],
    ['a column longer than its row', Buffer.from([0x44, 0, 0, 0, 10, 0, 1, 0, 0, 0, 9])],
    ['a negative length', Buffer.from([0x44, 0, 0, 0, 10, 0, 1, 0xff, 0xff, 0xff, 0xfe])],
    ['bytes behind its last column', Buffer.from([0x44, 0, 0, 0, 7, 0, 0, 9])],
  ])('with %s end the reading of the operation', (_, strange) => {
    const reader = new RowReader();
    const all = [...reader.push(Buffer.concat([dataRow('1'), strange, dataRow('2')])), ...reader.push(dataRow('3'))];
    expect(all).toEqual([
      { kind: 'row', values: ['1'] },
      { kind: 'unreadable', bytes: strange.length + dataRow('2').length },
    ]);
  });
});
