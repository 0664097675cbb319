import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import { prepareMasks } from '../../../../../proxy/protocols/http/mask/content.ts';
import type { ContentMasks } from '../../../../../proxy/protocols/http/mask/index.ts';
import { EventStreamMask } from '../../../../../proxy/protocols/http/mask/sse.ts';
import { masks, stars } from './masks.ts';

const byPath = masks({ '$..email': stars });
const byDetector = masks({}, 'all');

function streamMask(content: ContentMasks): EventStreamMask {
  const ready = prepareMasks(content);
  if (ready === undefined) throw new Error('unknown mask');
  return new EventStreamMask(ready, limits);
}

function through(mask: EventStreamMask, bytes: Buffer, size = bytes.length): string {
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(...mask.push(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, ...mask.finish()]).toString('utf8');
}

function shown(content: ContentMasks, text: string): string {
  return through(streamMask(content), Buffer.from(text));
}

describe('a stream of events', () => {
  const stream =
    ': hello\n\nid: 7\nevent: row\ndata: {"email":\r\ndata: "x","n":1}\r\n\r\ndata:{"email":2}\r\rretry: 100\n\ndata: [DONE]\n\n';
  const masked =
    ': hello\nid: 7\nevent: row\ndata: {"email":\ndata: "***","n":1}\n\ndata: {"email":"***"}\n\nretry: 100\n\ndata: [DONE]\n\n';

  test('is masked event by event, whatever ends its lines and however it is cut', () => {
    const bytes = Buffer.from(stream);
    for (let size = 1; size <= bytes.length; size++) expect(through(streamMask(byPath), bytes, size)).toBe(masked);
  });

  test('shows each event as soon as it is whole', () => {
    const mask = streamMask(byPath);
    expect(mask.push(Buffer.from('data: {"email":1}\n'))).toEqual([]);
    expect(Buffer.concat(mask.push(Buffer.from('\n'))).toString()).toBe('data: {"email":"***"}\n\n');
    expect(Buffer.concat(mask.push(Buffer.from(': still here\n'))).toString()).toBe(': still here\n');
    expect(mask.matches).toBe(1);
  });

  test('loses what readers ignore: other fields, an event that never ends, a strange retry', () => {
    expect(shown(byPath, ' data: {"email":1}\nDATA: x\ndata : y\nretry: soon\nfoo\n\ndata: {"email":1}\n')).toBe('');
  });

  test('keeps empty data', () => {
    expect(shown(byPath, 'data\n\ndata:\ndata:\n\n')).toBe('data: \n\ndata: \ndata: \n\n');
  });

  test('has detectors look at data that is JSON, at data that is text, and at everything else', () => {
    const text =
      ': for a@b.org\nevent: a@b.org\nid: a@b.org\ndata: ["a\\u0040b.org"]\n\ndata: [a@b.org\ndata: and c@d.org\n\n';
    const mask = streamMask(byDetector);
    expect(through(mask, Buffer.from(text))).toBe(': for #\nevent: #\nid: #\ndata: ["#"]\n\ndata: [#\ndata: and #\n\n');
    expect(mask.matches).toBe(6);
  });

  test('sees in data of several lines what goes over their ends', () => {
    const key = '-----BEGIN PRIVATE KEY-----\ndata: MIIEowIBAAKCAQEA\ndata: -----END PRIVATE KEY-----';
    expect(shown(byDetector, `data: ${key}\n\n`)).toBe('data: #\n\n');
  });

  test.each([
    ['data that is no JSON, where paths are masked', "data: {'email':1}\n\n"],
    ['two documents in one event', 'data: {"email":1}\ndata: {"email":1}\n\n'],
    ['a byte order mark, behind which a reader would see another first field', '\ufeffdata: {"email":1}\n\n'],
  ])('is a fault with %s', (_, text) => {
    expect(() => shown(byPath, text)).toThrow(expect.objectContaining({ code: 'mask_unprovable' }));
  });

  test('is a fault when it is not UTF-8', () => {
    const bytes = Buffer.from('data: "\xff"\n\n', 'latin1');
    for (const content of [byPath, byDetector]) {
      expect(() => through(streamMask(content), bytes)).toThrow(expect.objectContaining({ code: 'mask_unprovable' }));
    }
  });

  test('is a fault with an event past its bound, in one line or many, and not with many events', () => {
    const half = `data: "${'x'.repeat(limits.httpEventBytesMax / 2)}"\n`;
    expect(shown(byDetector, `${half}\n`.repeat(4))).toBe(`${half}\n`.repeat(4));
    expect(() => shown(byDetector, half + half)).toThrow(expect.objectContaining({ code: 'limit_reached' }));
    expect(() => shown(byDetector, `data: ${'x'.repeat(limits.httpEventBytesMax)}`)).toThrow(
      expect.objectContaining({ code: 'limit_reached' }),
    );
    expect(shown(byDetector, ': beat\n'.repeat(limits.httpEventBytesMax / 4)).length).toBe(
      7 * (limits.httpEventBytesMax / 4),
    );
  });
});
