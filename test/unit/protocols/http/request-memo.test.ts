import type { IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { canonicalRequest } from '../../../../proxy/protocols/http/canonical.ts';
import { RequestMemo } from '../../../../proxy/protocols/http/request-memo.ts';

const head = ['Host', 'localhost', 'Authorization', 'Bearer abc', 'Accept', 'text/plain'];

function memo(entriesMax = 8) {
  let count = 0;
  const read = (request: IncomingMessage) => {
    count += 1;
    return canonicalRequest(request, { hosts: ['localhost'] });
  };
  const requests = new RequestMemo(read, entriesMax);
  const ask = (given: Partial<IncomingMessage> = {}) =>
    requests.read({
      ...{ method: 'GET', url: '/a', httpVersion: '1.1', rawHeaders: [...head] },
      ...given,
    } as IncomingMessage);
  return { ask, reads: () => count };
}

test('the same request is read once, and is the same object', () => {
  const { ask, reads } = memo();
  expect(ask()).toBe(ask());
  ask({ url: '/b' });
  expect(ask()).toBe(ask());
  expect(reads()).toBe(2);
});

test.each<[string, Partial<IncomingMessage>]>([
  ['method', { method: 'DELETE' }],
  ['target', { url: '/a?b' }],
  ['version', { httpVersion: '1.0' }],
  ['token', { rawHeaders: head.with(3, 'Bearer abd') }],
  ['name of a header', { rawHeaders: head.with(4, 'Accept-Language') }],
  ['header more', { rawHeaders: [...head, 'Accept', 'text/html'] }],
  ['header less', { rawHeaders: head.slice(0, 4) }],
  ['order of headers', { rawHeaders: [...head.slice(2), ...head.slice(0, 2)] }],
])('another %s is another request', (_what, given) => {
  const { ask, reads } = memo();
  const first = ask();
  expect(ask(given)).not.toBe(first);
  expect(reads()).toBe(2);
  // And what is read then is what was asked then.
  expect(ask()).toEqual(first);
});

test('what cannot be read is no more readable the second time', () => {
  const { ask } = memo();
  expect(ask({ url: '/a/../b%2f' })).toHaveProperty('fault');
  expect(ask({ url: '/a/../b%2f' })).toHaveProperty('fault');
  expect(ask()).not.toHaveProperty('fault');
});

test('as many lines are kept as there is room for', () => {
  const { ask, reads } = memo(2);
  for (const url of ['/1', '/2', '/3']) ask({ url });
  ask({ url: '/3' });
  expect(reads()).toBe(3);
  ask({ url: '/1' });
  expect(reads()).toBe(4);
});
