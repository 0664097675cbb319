import { describe, expect, test } from '@jest/globals';
import { createLog, type Log } from '../../../proxy/core/log.ts';

function logged(use: (log: Log) => void): { text: string; line: Record<string, unknown> } {
  let text = '';
  use(
    createLog({ nowMs: () => 0, monotonicMs: () => 0 }, (line) => {
      text += line;
    }),
  );
  return { text, line: JSON.parse(text) };
}

test('a line is one JSON object with time, level, message and fields', () => {
  const { text, line } = logged((log) => log.warn('slow\nupstream', { upstream: 'orders', ms: 12, absent: undefined }));
  expect(text.match(/\n/g)).toHaveLength(1);
  expect(line).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    message: 'slow\nupstream',
    upstream: 'orders',
    ms: 12,
  });
});

describe('a credential does not reach the log', () => {
  const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl';

  test.each(['password', 'client_secret', 'accessToken', 'authorization', 'privacy_key', 'key', 'credential'])(
    'under the name %s',
    (name) => {
      expect(logged((log) => log.info('x', { [name]: 'marker-1' })).text).not.toContain('marker-1');
    },
  );

  test.each([
    ['a token', `token ${jwt}`, jwt],
    ['a bearer header', 'authorization: Bearer marker-2', 'marker-2'],
    ['a URL with a password', 'postgres://app:marker-3@db/orders', 'marker-3'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nmarker-4\n-----END PRIVATE KEY-----', 'marker-4'],
    ['a private key that is cut off', '-----BEGIN PRIVATE KEY-----\nmarker-5', 'marker-5'],
  ])('inside a text, an error or a cause: %s', (_title, text, marker) => {
    const cause = new Error(text);
    const { text: written } = logged((log) => log.error(text, { text, error: new Error(text, { cause }) }));
    expect(written).not.toContain(marker);
    expect(written).toContain('[redacted]');
  });

  test('while an ordinary name that merely contains such a word is kept', () => {
    expect(logged((log) => log.info('x', { keyboard: 'qwerty', key_id: 'k1' })).line).toMatchObject({
      keyboard: 'qwerty',
      key_id: 'k1',
    });
  });
});

test('a text that is too long is cut', () => {
  expect(logged((log) => log.info('x'.repeat(100_000))).text.length).toBeLessThan(3_000);
});

test('an error is told with its code and the messages of its causes', () => {
  const error = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'E_X' });
  expect(logged((log) => log.error('failed', { error })).line.error).toMatchObject({
    name: 'Error',
    code: 'E_X',
    message: 'outer',
    causes: ['Error: inner'],
  });
});
