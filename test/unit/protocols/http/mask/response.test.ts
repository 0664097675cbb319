import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import {
  createResponseMask,
  jsonPathError,
  maskedRequestHeaders,
  type ResponseMask,
  type ResponseMaskOptions,
} from '../../../../../proxy/protocols/http/mask/index.ts';
import { answer, masks, stars } from './masks.ts';

const emailPath = masks({ '$..email': stars });

function maskOf(options: ResponseMaskOptions): ResponseMask {
  const made = createResponseMask(options);
  if ('fault' in made) throw new Error(made.fault.message);
  return made.mask;
}

async function through(mask: ResponseMask, body: Buffer, size = body.length): Promise<string> {
  const out: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) out.push(...(await mask.push(body.subarray(at, at + size))));
  return Buffer.concat([...out, ...(await mask.finish())]).toString('utf8');
}

async function shown(type: string, body: string, some: Partial<ResponseMaskOptions> = {}): Promise<string> {
  return through(maskOf(answer(type, some)), Buffer.from(body));
}

describe('an answer is masked as what it says it is', () => {
  test.each([
    ['application/json', '{"email":"a@b.org"}', '{"email":"***"}'],
    ['application/json; charset=utf-8', '{"email":"a@b.org"}', '{"email":"***"}'],
    ['APPLICATION/JSON;charset="UTF-8"', '{"email":"a@b.org"}', '{"email":"***"}'],
    ['application/problem+json', '{"email":"a@b.org"}', '{"email":"***"}'],
    ['application/x-ndjson', '{"email":1}\n{"email":2}\n', '{"email":"***"}\n{"email":"***"}\n'],
    ['text/event-stream', 'data: {"email":1}\n\n', 'data: {"email":"***"}\n\n'],
  ])('by paths: %s', async (type, body, expected) => {
    expect(await shown(type, body, { masks: emailPath })).toBe(expected);
  });

  test.each([
    ['application/json', '["a\\u0040b.org"]', '["#"]'],
    ['application/jsonl', '"a@b.org"\n1', '"#"\n1'],
    ['text/plain', 'to a@b.org', 'to #'],
    ['text/html; charset=utf-8', '<p>a@b.org</p>', '<p>#</p>'],
    ['text/csv', 'a@b.org,1', '#,1'],
    ['application/xml', '<a>a@b.org</a>', '<a>#</a>'],
    ['application/atom+xml', '<a>a@b.org</a>', '<a>#</a>'],
  ])('by detectors: %s', async (type, body, expected) => {
    const mask = maskOf(answer(type, {}));
    expect(await through(mask, Buffer.from(body), 1)).toBe(expected);
    expect(mask.matches).toBe(1);
  });

  test('where it has no content, as that', async () => {
    for (const type of ['application/json', 'application/x-ndjson', 'text/event-stream', 'text/plain']) {
      expect(await shown(type, '')).toBe('');
    }
  });

  test('and of a GraphQL operation by the names of its fields', async () => {
    const some = {
      masks: masks({ '$.data.customers[*].email': stars, '$.data.me': stars }),
      aliases: { all: 'customers', 'all.mail': 'customers.email', 'customers.mail': 'customers.email', I: 'me' },
    };
    const body = '{"data":{"all":[{"mail":1},[{"mail":2}]],"customers":{"mail":3},"mail":4,"I":{"x":5},"me":6}}';
    expect(await shown('application/json', body, some)).toBe(
      '{"data":{"all":[{"mail":"***"},[{"mail":"***"}]],"customers":{"mail":"***"},"mail":4,"I":"***","me":"***"}}',
    );
    expect(
      await shown('application/json', '{"data":{"m":1,"n":2}}', {
        ...some,
        masks: emailPath,
        aliases: { m: 'email', n: 'name' },
      }),
    ).toBe('{"data":{"m":"***","n":2}}');
  });
});

describe('what cannot be masked is a fault', () => {
  test.each<[string, string | undefined, Partial<ResponseMaskOptions>]>([
    ['without a type', undefined, {}],
    ['an empty type', '', {}],
    ['two types', 'application/json, text/plain', {}],
    ['a type that is binary', 'application/octet-stream', {}],
    ['parts of a thing', 'multipart/byteranges; boundary=x', {}],
    ['forms', 'multipart/mixed; boundary=x', {}],
    ['a sequence with separators', 'application/json-seq', {}],
    ['another encoding', 'application/json; charset=utf-16', {}],
    ['another encoding of text', 'text/plain; charset=iso-8859-1', {}],
    ['two encodings', 'text/plain; charset=utf-8; charset=utf-16', {}],
    ['text, when paths are masked', 'text/plain', { masks: masks({ '$.a': stars }, 'all') }],
    ['a part', 'application/json', { partial: true }],
    ['a coding nobody knows', 'application/json', { contentEncoding: 'compress' }],
    ['several codings', 'application/json', { contentEncoding: 'gzip, br' }],
    ['a name every object has', 'application/json', { contentEncoding: 'constructor' }],
  ])('%s', (_, type, some) => {
    expect(createResponseMask(answer(type, some))).toEqual({
      fault: { code: 'mask_unprovable', message: expect.stringMatching(/^The answer .*\.$/) },
    });
  });

  test('a mask that no plan should have let through', () => {
    for (const unknown of [masks({ '$[0]': stars }), masks({}, ['palm_reading'])]) {
      expect(createResponseMask(answer('application/json', { masks: unknown }))).toMatchObject({
        fault: { code: 'mask_unknown' },
      });
    }
    expect(jsonPathError('$[0]')).toMatch(/not supported/);
    expect(jsonPathError('$.a')).toBeUndefined();
  });

  test('a document that leads to more cases than a set of paths may have, and that alone', async () => {
    const many = masks({ [`$..a${'[*]'.repeat(16)}.b`]: stars });
    const nested = (bits: number): string =>
      `${Array.from({ length: 20 }, (_, bit) => `{"${(bits >> bit) & 1 ? 'a' : 'c'}":`).join('')}1${'}'.repeat(20)}`;
    const hostile = `[${Array.from({ length: 8_192 }, (_, bits) => nested(bits)).join()}]`;
    await expect(shown('application/json', hostile, { masks: many })).rejects.toMatchObject({ code: 'limit_reached' });
    expect(await shown('application/json', nested(5), { masks: many })).toBe(nested(5));
  });

  test.each([
    ['application/json', '{"a":'],
    ['application/json', '{"a":1} trailing'],
    ['application/json', '\ufeff{}'],
    ['application/x-ndjson', '{"a":1} {"a":2}'],
    ['text/plain', 'a\0@\0b\0'],
  ])('%s that is not: %p', async (type, body) => {
    await expect(shown(type, body)).rejects.toMatchObject({ code: 'mask_unprovable' });
  });

  test('text that is not UTF-8', async () => {
    const body = Buffer.from('café', 'latin1');
    await expect(through(maskOf(answer('text/plain', {})), body)).rejects.toMatchObject({ code: 'mask_unprovable' });
  });
});

describe('a content coding is taken off', () => {
  const body = JSON.stringify(Array.from({ length: 2_000 }, (_, id) => ({ id, email: `user${id}@example.com` })));
  const expected = body.replace(/"user\d+@example.com"/g, '"***"');

  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
    ['GZIP', gzipSync],
  ])('%s, however it is cut', async (contentEncoding, compress) => {
    for (const size of [7, 1_000, 1_000_000]) {
      const mask = maskOf(answer('application/json', { masks: emailPath, contentEncoding }));
      expect((await through(mask, compress(Buffer.from(body)), size)) === expected).toBe(true);
    }
  });

  test('one call after the other, whether or not they wait', async () => {
    const mask = maskOf(answer('application/json', { masks: emailPath, contentEncoding: 'gzip' }));
    const compressed = gzipSync(Buffer.from(body));
    const pieces = [compressed.subarray(0, 100), compressed.subarray(100, 200), compressed.subarray(200)];
    const out = await Promise.all([...pieces.map((piece) => mask.push(piece)), mask.finish()]);
    expect(Buffer.concat(out.flat()).toString() === expected).toBe(true);
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ])('%s that ends early, is broken or goes on behind its end is a fault', async (contentEncoding, compress) => {
    const compressed = compress(Buffer.from(body));
    const broken = Buffer.from(compressed);
    broken.fill(0x55, broken.length >> 1, (broken.length >> 1) + 64);
    for (const bad of [compressed.subarray(0, -10), broken, Buffer.from(body)]) {
      const mask = maskOf(answer('application/json', { masks: emailPath, contentEncoding }));
      await expect(through(mask, bad, 500)).rejects.toMatchObject({ code: 'mask_unprovable' });
      await expect(async () => mask.push(Buffer.from('{}'))).rejects.toMatchObject({ code: 'mask_unprovable' });
    }
    for (const size of [500, 1, 1_000_000]) {
      const behind = maskOf(answer('application/json', { masks: emailPath, contentEncoding }));
      const more = Buffer.concat([compressed, Buffer.from(' ')]);
      await expect(through(behind, more, size)).rejects.toMatchObject({ code: 'mask_unprovable' });
    }
  });

  test('deflate without its wrapper is a fault: browsers guess, and we do not', async () => {
    const mask = maskOf(answer('application/json', { masks: emailPath, contentEncoding: 'deflate' }));
    await expect(through(mask, deflateRawSync(Buffer.from(body)))).rejects.toMatchObject({ code: 'mask_unprovable' });
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ])('%s that comes to much more than it should is a fault before it is held', async (contentEncoding, compress) => {
    const bomb = compress(Buffer.alloc(64 * 1024 * 1024, ' '));
    const mask = maskOf(answer('application/json', { masks: emailPath, contentEncoding }));
    await expect(through(mask, bomb)).rejects.toMatchObject({ code: 'limit_reached' });
    const bounded = answer('application/json', {
      masks: emailPath,
      contentEncoding,
      limits: { ...limits, httpDecodedBytesMax: 10_000 },
    });
    await expect(through(maskOf(bounded), compress(Buffer.from(body)))).rejects.toMatchObject({
      code: 'limit_reached',
    });
  });

  test('and can be left before its end', async () => {
    const mask = maskOf(answer('application/json', { masks: emailPath, contentEncoding: 'br' }));
    await mask.push(brotliCompressSync(Buffer.from(body)).subarray(0, 100));
    mask.close();
    mask.close();
    await expect(async () => mask.push(Buffer.from('x'))).rejects.toMatchObject({ code: 'mask_unprovable' });
  });
});

describe('headers', () => {
  test('that speak of the bytes before are dropped, and nobody may keep the answer', () => {
    const { dropHeaders, setHeaders } = maskOf(answer('application/json', {}));
    for (const name of 'content-length content-encoding etag last-modified digest repr-digest content-md5 accept-ranges'.split(
      ' ',
    )) {
      expect(dropHeaders).toContain(name);
    }
    expect(setHeaders).toEqual([['cache-control', 'no-store']]);
  });

  test('are changed for an answer without content as well, which then must have none', async () => {
    const mask = maskOf(answer('image/png', { bodiless: true, contentEncoding: 'gzip', partial: true }));
    expect(mask.dropHeaders).toContain('etag');
    expect(await through(mask, Buffer.alloc(0))).toBe('');
    expect(() => mask.push(Buffer.from('x'))).toThrow('came with some');
  });

  test('of the request ask for the whole answer as it is', () => {
    expect(
      maskedRequestHeaders([
        ['accept', '*/*'],
        ['accept-encoding', 'gzip'],
        ['range', 'bytes=0-9'],
        ['if-range', '"x"'],
        ['if-none-match', '"x"'],
        ['if-modified-since', 'Fri, 27 Nov 2026 21:00:00 GMT'],
        ['if-match', '"x"'],
      ]),
    ).toEqual([
      ['accept', '*/*'],
      ['if-match', '"x"'],
      ['accept-encoding', 'identity'],
    ]);
  });
});
