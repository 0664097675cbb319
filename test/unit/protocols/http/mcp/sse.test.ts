import { expect, test } from '@jest/globals';
import { type SseEvent, SseReader, sseEvent } from '../../../../../proxy/protocols/http/mcp/index.ts';

const stream = [
  '\ufeff: hello\r\n\r\n',
  'id: 1\nevent: message\ndata: {"a":\ndata:  1}\n\n',
  'id: 2\rretry: 50\rdata:\r\r',
  ': keep-alive\n\n',
  'event: other\r\ndata: é€😀\r\nfoo: bar\r\nnonsense\r\n\r\n',
  'data\n\n',
  'id\nretry: x\ndata: last\n\n',
  'data: cut off',
].join('');
const events: SseEvent[] = [
  { id: '1', type: 'message', data: '{"a":\n 1}', retry: undefined },
  { id: '2', type: 'message', data: '', retry: 50 },
  { id: undefined, type: 'other', data: 'é€😀', retry: undefined },
  { id: undefined, type: 'message', data: '', retry: undefined },
  { id: undefined, type: 'message', data: 'last', retry: undefined },
];

function read(chunks: readonly Uint8Array[]): SseEvent[] {
  const reader = new SseReader();
  return chunks.flatMap((chunk) => {
    const found = [...reader.push(chunk)];
    chunk.fill(0);
    return found;
  });
}

test('a stream of events is read alike wherever it is cut', () => {
  const bytes = () => Buffer.from(stream);
  expect(read([bytes()])).toEqual(events);
  for (let at = 0; at <= bytes().length; at++) {
    expect(read([bytes().subarray(0, at), bytes().subarray(at)])).toEqual(events);
  }
  expect(read(Array.from(bytes(), (byte) => Buffer.of(byte)))).toEqual(events);
});

test('what is written is read again, and a value cannot begin an event of its own', () => {
  for (const event of events.filter(({ type, data }) => type === 'message' && data !== '')) {
    expect(read([Buffer.from(sseEvent(event))])).toEqual([event]);
  }
  expect(read([Buffer.from(sseEvent({ data: 'a\r\rid: x\n\ndata: y' }))])).toEqual([
    { id: undefined, type: 'message', data: 'a\n\nid: x\n\ndata: y', retry: undefined },
  ]);
  expect(sseEvent({ id: 'e', data: '', retry: 10 })).toBe('id: e\nretry: 10\ndata: \n\n');
});

test('an event past its bound ends the stream, however it grows', () => {
  const endless = [Buffer.alloc(1024, 'x'), Buffer.from('data: x\n'.repeat(128)), Buffer.from(': x\n'.repeat(256))];
  for (const piece of endless) {
    const reader = new SseReader();
    expect(() => {
      for (let count = 0; count < 8 * 1024; count++) reader.push(piece);
    }).toThrow(expect.objectContaining({ code: 'operation_too_large' }));
  }
});

test('bytes that are not UTF-8 end it too', () => {
  expect(() => new SseReader().push(Buffer.from([...Buffer.from('data: '), 0xff, 10]))).toThrow(
    expect.objectContaining({ code: 'operation_unparseable' }),
  );
});
