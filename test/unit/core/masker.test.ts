import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { createMasker, mostPrivate, parseMaskMethod } from '../../../proxy/core/masker.ts';
import type { MaskMethod } from '../../../proxy/core/types.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });

describe('the mask methods', () => {
  test('null and replace give a constant whatever the value', () => {
    expect(masker.apply({ method: 'null' }, 'secret')).toBeNull();
    expect(masker.apply({ method: 'replace', value: 'gone' }, 'secret')).toBe('gone');
  });

  test.each([
    ['keep_last', 4, '123-45-6789', '***6789'],
    ['keep_first', 2, '123-45-6789', '12***'],
    ['keep_last', 4, '6789', '***'],
    ['keep_last', 4, '789', '***'],
    ['keep_last', 4, '', '***'],
    ['keep_first', 4, 'abcd', '***'],
    ['keep_first', 0, 'abcd', '***'],
    ['keep_last', 0, 'abcd', '***'],
    ['keep_first', 1, '😀b', '😀***'],
    ['keep_last', 1, 'b😀', '***😀'],
    ['keep_last', 2, '😀😀', '***'],
    ['keep_first', 2, '😀😀', '***'],
  ] as const)('%s %i of %j is %j', (method, count, value, masked) => {
    expect(masker.apply({ method, count }, value)).toBe(masked);
  });

  test('keeping a part tells nothing about the length of what is hidden', () => {
    const lengths = [10, 100, 1000].map((length) =>
      masker.apply({ method: 'keep_last', count: 1 }, 'x'.repeat(length)),
    );
    expect(new Set(lengths).size).toBe(1);
  });

  test.each([
    ['ana@example.com', '***@example.com'],
    ['ana.b+c@mail.example.co.uk', '***@mail.example.co.uk'],
    ['"a@b"@example.com', '***'],
    ['ana@', '***'],
    ['@example.com', '***'],
    ['no address', '***'],
    ['ana@localhost', '***'],
    ['ana@123-45-6789', '***'],
    ['ana@example.com and 123-45-6789', '***'],
    ['123456789', '***'],
  ])('email of %j is %j', (value, masked) => {
    expect(masker.apply({ method: 'email' }, value)).toBe(masked);
  });

  test('a hash is the prefix and 128 bits of HMAC-SHA256 over the UTF-8 bytes', () => {
    const key = Buffer.from('Jefe'.padEnd(32, '\0'));
    // RFC 4231 test case 2: a key shorter than a block is padded with zeros, so that the padded one is the same key.
    expect(createMasker({ key }).keyedHash('what do ya want for nothing?')).toBe(
      'hmac:5bdcc146bf60754e6a042426089575c7',
    );
  });

  test('a hash is the same for text and bytes and as a mask, and another under another key', () => {
    const hash = masker.keyedHash('né');
    expect(hash).toMatch(/^hmac:[0-9a-f]{32}$/);
    expect(masker.keyedHash(Buffer.from('né'))).toBe(hash);
    expect(masker.apply({ method: 'hash' }, 'né')).toBe(hash);
    expect(createMasker({ key: Buffer.alloc(32, 8) }).keyedHash('né')).not.toBe(hash);
  });

  test('a hash is what the platform’s HMAC gives, whatever the lengths of key and value', () => {
    for (const keyBytes of [32, 33, 63, 64, 65, 200]) {
      const key = Buffer.from(Array.from({ length: keyBytes }, (_, at) => at * 7 + 1));
      const { keyedHash } = createMasker({ key });
      for (const length of [0, 1, 54, 55, 56, 63, 64, 65, 1023, 1024, 1025, 5000]) {
        for (const unit of ['a', 'é', '€', '😀']) {
          const value = unit.repeat(length);
          const digest = createHmac('sha256', key).update(value).digest('hex');
          expect(keyedHash(value)).toBe(`hmac:${digest.slice(0, 32)}`);
          expect(keyedHash(Buffer.from(value))).toBe(keyedHash(value));
        }
      }
    }
  });

  test('a short key is refused', () => {
    expect(() => createMasker({ key: new Uint8Array(31) })).toThrow(RangeError);
  });

  test('a value past the bound is hidden whole', () => {
    const value = `${'x'.repeat(limits.maskedValueBytesMax)}1234`;
    expect(masker.apply({ method: 'keep_last', count: 4 }, value)).toBe('***');
    expect(masker.apply({ method: 'redact_pattern', pattern: '[0-9]', value: '#' }, value)).toBe('#');
  });
});

describe('reading a mask of a policy result', () => {
  test.each<[unknown, MaskMethod]>([
    [{ null: {} }, { method: 'null' }],
    [{ hash: {} }, { method: 'hash' }],
    [{ email: {} }, { method: 'email' }],
    [{ replace: { value: '***' } }, { method: 'replace', value: '***' }],
    [{ replace: { value: '' } }, { method: 'replace', value: '' }],
    [{ keep_last: { count: 4 } }, { method: 'keep_last', count: 4 }],
    [{ keep_first: { count: 0 } }, { method: 'keep_last', count: 0 }],
    [{ redact_pattern: { pattern: '\\d+', value: '#' } }, { method: 'redact_pattern', pattern: '\\d+', value: '#' }],
  ])('%j is a mask', (json, method) => {
    expect(parseMaskMethod(JSON.parse(JSON.stringify(json)))).toEqual({ method });
  });

  test.each([
    'null',
    '[]',
    '{}',
    '"hash"',
    '{"hash": {}, "null": {}}',
    '{"hash": null}',
    '{"hash": {"length": 4}}',
    '{"shuffle": {}}',
    '{"constructor": {}}',
    '{"__proto__": {}}',
    '{"replace": {}}',
    '{"replace": {"value": 1}}',
    '{"replace": {"value": "a\\u0000b"}}',
    '{"replace": {"value": "\\ud800"}}',
    `{"replace": {"value": "${'x'.repeat(limits.maskTextLengthMax + 1)}"}}`,
    '{"keep_last": {"count": -1}}',
    '{"keep_last": {"count": 1.5}}',
    '{"keep_last": {"count": "4"}}',
    `{"keep_last": {"count": ${limits.maskKeepCountMax + 1}}}`,
    '{"keep_last": {"count": 4, "char": "x"}}',
    '{"redact_pattern": {"pattern": "a"}}',
    '{"redact_pattern": {"pattern": "(", "value": "#"}}',
  ])('%s is an error', (json) => {
    expect(parseMaskMethod(JSON.parse(json))).toEqual({ error: expect.any(String) });
  });
});

describe('the most private of two masks', () => {
  const methods: MaskMethod[] = [
    { method: 'null' },
    { method: 'replace', value: 'a' },
    { method: 'replace', value: 'b' },
    { method: 'hash' },
    { method: 'keep_last', count: 0 },
    { method: 'keep_first', count: 2 },
    { method: 'keep_first', count: 4 },
    { method: 'keep_last', count: 2 },
    { method: 'keep_last', count: 4 },
    { method: 'email' },
    { method: 'redact_pattern', pattern: '[0-9]+', value: '#' },
    { method: 'redact_pattern', pattern: '[a-z]+', value: '#' },
  ];

  test('does not depend on the order or grouping of the policies', () => {
    for (const a of methods) {
      expect(mostPrivate(a, a)).toEqual(a);
      for (const b of methods) {
        expect(mostPrivate(a, b)).toEqual(mostPrivate(b, a));
        for (const c of methods) {
          expect(mostPrivate(mostPrivate(a, b), c)).toEqual(mostPrivate(a, mostPrivate(b, c)));
        }
      }
    }
  });

  test('follows the documented ranks', () => {
    const ranked = [0, 1, 3, 8, 9, 10].map((index) => methods[index] as MaskMethod);
    for (let left = 0; left < ranked.length; left++) {
      for (let right = left; right < ranked.length; right++) {
        expect(mostPrivate(ranked[left] as MaskMethod, ranked[right] as MaskMethod)).toEqual(ranked[left]);
      }
    }
  });

  test('shows nothing where each mask hides what the other shows', () => {
    const parts = mostPrivate({ method: 'keep_first', count: 4 }, { method: 'keep_last', count: 4 });
    expect(masker.apply(parts, 'abcdefgh')).toBe('***');
    const patterns = mostPrivate(
      { method: 'redact_pattern', pattern: '[0-9]+', value: '#' },
      { method: 'redact_pattern', pattern: '[a-z]+', value: '#' },
    );
    expect(masker.apply(patterns, 'abc\n123')).toBe('***');
  });
});
