import { isUtf8 } from 'node:buffer';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { detectors } from '../../../proxy/core/detectors.ts';
import { GatewayError } from '../../../proxy/core/errors.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createJsonMasker, type JsonMasker, type JsonMaskOptions } from '../../../proxy/core/masker/json.ts';
import { compileJsonPath, type JsonPath } from '../../../proxy/core/masker/json-path.ts';
import { JsonPaths } from '../../../proxy/core/masker/json-paths.ts';
import { type CompiledMask, createMasker } from '../../../proxy/core/masker.ts';
import type { MaskMethod } from '../../../proxy/core/types.ts';
import { cases } from './detector-cases.ts';
import { masked, parsed } from './json-reference.ts';

const methods = createMasker({ key: Buffer.alloc(32, 7) });
const hidden: CompiledMask = { kind: 'constant', value: '#' };
const everything: ReadonlyMap<string, CompiledMask> = new Map(Array.from(detectors.keys(), (name) => [name, hidden]));

type Paths = Readonly<Record<string, MaskMethod>>;

function compiled(paths: Paths): (readonly [JsonPath, CompiledMask])[] {
  return Object.entries(paths).map(([text, method]) => {
    const made = compileJsonPath(text);
    if ('error' in made) throw new Error(made.error);
    return [made.path, methods.compile(method)] as const;
  });
}

function masker(paths: Paths, options: Omit<JsonMaskOptions, 'paths'> = {}): JsonMasker {
  return createJsonMasker({ paths: new JsonPaths(compiled(paths)), ...options });
}

/** A document in pieces of some sizes, or undefined when it is refused. */
function through(one: JsonMasker, document: Buffer, size: () => number = () => document.length): string | undefined {
  const out: Buffer[] = [];
  try {
    for (let at = 0; at < document.length; ) {
      const end = at + Math.max(1, size());
      out.push(...one.push(document.subarray(at, end)));
      at = end;
    }
    out.push(...one.finish());
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
  return Buffer.concat(out).toString('utf8');
}

function shown(paths: Paths, document: string, options?: Omit<JsonMaskOptions, 'paths'>): string | undefined {
  return through(masker(paths, options), Buffer.from(document));
}

const looking = { text: everything };
const keepLast: MaskMethod = { method: 'keep_last', count: 4 };
const stars: MaskMethod = { method: 'replace', value: '***' };
const toNull: MaskMethod = { method: 'null' };

describe('what a path leads to is hidden', () => {
  test.each<[string, Paths, string, string]>([
    ['a member', { '$.a.b': stars }, '{"a":{"b":"x","c":"x"},"b":"x"}', '{"a":{"b":"***","c":"x"},"b":"x"}'],
    ['a member with any name', { "$['a b'].c": stars }, '{"a b":{"c":1}}', '{"a b":{"c":"***"}}'],
    [
      'elements',
      { '$.items[*].x': stars },
      '{"items":[{"x":1},{"x":2,"y":3},4]}',
      '{"items":[{"x":"***"},{"x":"***","y":3},4]}',
    ],
    ['members at any depth', { '$..x': stars }, '{"x":1,"a":[{"b":{"x":[1]}}]}', '{"x":"***","a":[{"b":{"x":"***"}}]}'],
    ['every child', { '$.*': toNull }, '{"a":1,"b":[2]}', '{"a":null,"b":null}'],
    ['every element', { '$[*]': toNull }, '[1,"2",{"a":3}]', '[null,null,null]'],
    ['the document', { $: stars }, ' {"a":1} ', ' "***" '],
    ['every duplicate', { '$.a': stars }, '{"a":1,"a":2}', '{"a":"***","a":"***"}'],
    ['a name written with escapes', { '$.email': stars }, '{"\\u0065mail":1}', '{"\\u0065mail":"***"}'],
    ['a name with a quotation mark', { '$["a\\"\\\\b"]': stars }, '{"a\\"\\\\b":1}', '{"a\\"\\\\b":"***"}'],
    ['the empty name', { "$['']": stars }, '{"":1}', '{"":"***"}'],
    [
      'a name outside ASCII',
      { '$.größe': stars },
      '{"größe":1,"gr\\u00f6\\u00dfe":2}',
      '{"größe":"***","gr\\u00f6\\u00dfe":"***"}',
    ],
    ['a part', { '$.a': keepLast }, '{"a":"4111111111111111"}', '{"a":"***1111"}'],
    [
      'a part of what is written with escapes',
      { '$.a': keepLast },
      '{"a":"x\\u0031\\n\\"\\\\y"}',
      '{"a":"***\\n\\"\\\\y"}',
    ],
    [
      'a part of a number, with its own digits',
      { '$.a': keepLast },
      '{"a":12345678901234567890.10}',
      '{"a":"***0.10"}',
    ],
    ['a truth value', { '$.a': keepLast, '$.b': stars }, '{"a":false,"b":true}', '{"a":"***alse","b":"***"}'],
    ['not that there is none', { '$.a': keepLast }, '{"a":null}', '{"a":null}'],
    ['that there is none, by a constant', { '$.a': stars }, '{"a":null}', '{"a":"***"}'],
    ['an object whole, whatever the method', { '$.a': keepLast }, '{"a":{"b":"1234567"},"c":1}', '{"a":"***","c":1}'],
  ])('%s', (_, paths, document, expected) => {
    expect(shown(paths, document)).toBe(expected);
  });

  test('where two paths meet, by the more private of the two', () => {
    expect(shown({ '$..a': keepLast, '$.a': toNull }, '{"a":"12345","b":{"a":"12345"}}')).toBe(
      '{"a":null,"b":{"a":"***2345"}}',
    );
    expect(shown({ '$.a': keepLast, "$['a']": { method: 'keep_first', count: 4 } }, '{"a":"12345"}')).toBe(
      '{"a":"***"}',
    );
    expect(shown({ '$.a': stars, '$.a.b': keepLast }, '{"a":{"b":"12345"}}')).toBe('{"a":"***"}');
  });

  test('in values too long to be read, whole', () => {
    const long = 'x'.repeat(limits.maskedValueBytesMax);
    const one = masker({ '$.a': keepLast });
    expect(through(one, Buffer.from(`{"a":"${long}","b":"${long}"}`), () => 60_000)).toBe(`{"a":"***","b":"${long}"}`);
    expect(one.matches).toBe(1);
  });

  test('and everything else goes out as it came', () => {
    const document = ' { "a" : [ 12345678901234567890, 1.0, 1E400, -0, "\\u00e9\\/é" ], "b":{}, "b":[ ] }\r\n\t';
    expect(shown({ '$.c': stars }, document)).toBe(document);
    expect(shown({ '$.c': stars }, document, looking)).toBe(document);
  });
});

describe('a path', () => {
  test.each([
    ...[
      '',
      'a',
      '.a',
      '$.',
      '$a',
      '$..',
      '$.a.',
      '$.[a]',
      "$.['a']",
      "$...['a']",
      '$[0]',
      '$[1:2]',
      '$[-1]',
      "$['a','b']",
    ],
    ...[
      '$[?@.a]',
      '$.a b',
      '$.0',
      '$.a-b',
      "$['a",
      "$['a'",
      '$[a]',
      '$["a\']',
      "$['\\x']",
      "$['\\ud800']",
      '$ .a',
      '$.a\n',
      '$[ * ]',
    ],
    `$.${'a'.repeat(limits.jsonPathLengthMax)}`,
    `$${'.a'.repeat(limits.jsonPathStepsMax + 1)}`,
  ])('is refused when it is not of the small subset: %p', (path) => {
    expect(compileJsonPath(path)).toEqual({ error: expect.stringMatching(/^A JSON path .*\.$/) });
  });

  test.each<[string, JsonPath['steps']]>([
    ['$', []],
    ['$.a', [{ name: 'a', descends: false }]],
    ['$..a', [{ name: 'a', descends: true }]],
    ['$..*', [{ name: undefined, descends: true }]],
    [
      "$..['a b'][*]",
      [
        { name: 'a b', descends: true },
        { name: undefined, descends: false },
      ],
    ],
    ['$["it\'s"]', [{ name: "it's", descends: false }]],
    ["$['it\\'s \"\\u00e9\\\\']", [{ name: 'it\'s "é\\', descends: false }]],
  ])('is read: %s', (text, steps) => {
    expect(compileJsonPath(text)).toEqual({ path: { steps } });
  });

  test('that would make endlessly many cases of a document is bounded', () => {
    const paths = new JsonPaths(compiled({ [`$..a${'[*]'.repeat(16)}.b`]: stars }));
    expect(paths.isFull).toBe(false);
    const deep = (bits: number): string =>
      `${Array.from({ length: 20 }, (_, bit) => `{"${(bits >> bit) & 1 ? 'a' : 'c'}":`).join('')}1${'}'.repeat(20)}`;
    const documents = Array.from({ length: 8_192 }, (_, bits) => deep(bits));
    expect(through(createJsonMasker({ paths }), Buffer.from(`[${documents.join()}]`))).toBeUndefined();
    expect(paths.isFull).toBe(true);
  });
});

describe('detectors look into JSON', () => {
  const written: [string, (text: string) => string][] = [
    ['as JSON.stringify writes it', JSON.stringify],
    [
      'with every character as an escape',
      (text) => `"${[...Array(text.length).keys()].map((at) => unit(text, at)).join('')}"`,
    ],
    [
      'with some characters as escapes',
      (text) => JSON.stringify(text).replaceAll('@', '\\u0040').replaceAll('-', '\\u002D'),
    ],
  ];

  function unit(text: string, at: number): string {
    return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }

  test.each(written)('and find what they find in a text, %s', (_, write) => {
    for (const [name, text, expected] of cases) {
      const options = { text: new Map([[name, hidden]]) };
      for (const [before, after] of [
        ['[', ']'],
        ['{"note":', '}'],
        ['', ''],
      ]) {
        const out = shown({}, `${before}${write(text)}${after}`, options);
        const wanted =
          expected === text ? `${before}${write(text)}${after}` : `${before}${JSON.stringify(expected)}${after}`;
        expect({ name, out }).toEqual({ name, out: wanted });
      }
    }
  });

  test('and see the name of what they look at', () => {
    expect(shown({}, '{"password":"correct horse","user":"ana"}', looking)).toBe('{"password":"#","user":"ana"}');
    expect(shown({}, '{"p\\u0061ssword" : "correct horse"}', looking)).toBe('{"p\\u0061ssword" : "#"}');
    expect(shown({}, '{"api_token":123456789}', looking)).toBe('{"api_token":"#"}');
    expect(shown({}, '{"password":["correct horse"]}', looking)).toBe('{"password":["correct horse"]}');
  });

  test('and into numbers and names', () => {
    expect(shown({}, '{"n":4111111111111111,"ana@example.com":1}', looking)).toBe('{"n":"#","#":1}');
  });

  test('and through the colours of a terminal', () => {
    expect(shown({}, '["\\u001b[1mana\\u001b[0m@example.com"]', looking)).toBe('["\\u001b[1m#"]');
    expect(shown({}, '["AKIA\\u001b[1mIOSFODNN7\\u001b[0mEXAMPLE"]', looking)).toBe('["#"]');
  });

  test('and what they find is hidden before a mask shows a part of it', () => {
    expect(shown({ '$.a': keepLast }, '{"a":"write to ana@example.com"}', looking)).toBe('{"a":"***to #"}');
  });

  test('halves of pairs that stand alone survive next to a find', () => {
    expect(shown({}, '["\\ud800 ana@example.com \\udc00\\ud83d\\ude00"]', looking)).toBe('["\\ud800 # \\udc00😀"]');
  });

  test('and a string too long to be held is looked through while it passes', () => {
    const filler = '\\u00e9\\/\\n\\ud83d\\ude00\\ud800 '.repeat(2_400);
    const document = `{"a":"${filler}ana@example.com ${filler}","b":"bob@example.com"}`;
    const expected = `{"a":"${JSON.stringify(JSON.parse(`"${filler}"`)).slice(1, -1)}# ${JSON.stringify(JSON.parse(`"${filler}"`)).slice(1, -1)}","b":"#"}`;
    for (const size of [1, 7, 1_000, 70_000, 1_000_000]) {
      const one = masker({}, looking);
      expect(through(one, Buffer.from(document), () => size) === expected).toBe(true);
      expect(one.matches).toBe(2);
    }
  });

  test('and a number too long to be held is hidden', () => {
    const digits = '1'.repeat(limits.jsonStringHeldBytesMax + 1);
    expect(shown({}, `[${digits},2]`, looking)).toBe('["***",2]');
  });
});

describe('what is not JSON is refused', () => {
  test.each([
    ...[
      '',
      ' ',
      '{',
      '[',
      '"',
      '"a',
      '{"a"',
      '{"a":',
      '{"a":1',
      '{"a":1,',
      '{"a":1,}',
      '[1,]',
      '[,1]',
      ',',
      '1,2',
      '1 2',
      '{}{}',
      '[]]',
      '}',
    ],
    ...[
      '[}',
      '{]',
      '{1:2}',
      '{a:1}',
      "{'a':1}",
      'tru',
      'truefalse',
      'nul',
      'NaN',
      'Infinity',
      '-',
      '01',
      '-01',
      '1.',
      '.5',
      '1e',
      '1e+',
      '+1',
    ],
    ...[
      '0x10',
      '"\\x"',
      '"\\u12"',
      '"\\u12g4"',
      '"\n"',
      '"\t"',
      '"\u0000"',
      '\ufeff{}',
      '{}\ufeff',
      '\u00a0{}',
      '// c\n1',
      '1/**/',
      '\f1',
    ],
  ])('%p', (document) => {
    for (const options of [{}, looking]) {
      for (const paths of [{}, { '$..a': stars }, { '$..a': keepLast }, { $: toNull }]) {
        expect(shown(paths, document, options)).toBeUndefined();
      }
    }
  });

  test.each([
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['a byte that begins nothing', [0xff]],
    ['a continuation alone', [0x80]],
    ['half a character', [0xe2, 0x82]],
  ])('in a string: %s', (_, bytes) => {
    const document = Buffer.concat([Buffer.from('["'), Buffer.from(bytes), Buffer.from('"]')]);
    for (const size of [1, 2, 3, 100]) expect(through(masker({}), document, () => size)).toBeUndefined();
  });

  test('nesting past its bound, and none up to it', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(shown({}, nested(limits.jsonDepthMax))).toBe(nested(limits.jsonDepthMax));
    expect(shown({}, nested(limits.jsonDepthMax + 1))).toBeUndefined();
    expect(shown({ '$[*]': stars }, nested(limits.jsonDepthMax + 1))).toBeUndefined();
  });

  test('a name past its bound, however it comes', () => {
    const document = Buffer.from(`{"${'n'.repeat(limits.jsonNameBytesMax)}":1}`);
    for (const size of [1_000, document.length])
      expect(through(masker({ '$.a': stars }), document, () => size)).toBeUndefined();
  });

  test('a name past its bound before it ends, so that it is never held', () => {
    const one = masker({ '$.a': stars });
    one.push(Buffer.from('{"'));
    expect(() => one.push(Buffer.alloc(limits.jsonNameBytesMax, 'n'))).toThrow(/longer than the bound/);
  });

  test('and nothing of it is shown after that', () => {
    const one = masker({ '$.a': stars });
    expect(() => one.push(Buffer.from('{]'))).toThrow(GatewayError);
    expect(() => one.push(Buffer.from('{}'))).toThrow(GatewayError);
    expect(() => one.finish()).toThrow(GatewayError);
  });
});

describe('documents one after the other', () => {
  test('have a line each', () => {
    const lines = { documents: 'lines' } as const;
    const document = '{"a":1}\n\n[{"a":2}]\r\n"x"\n 7 \n{"a":[3]}';
    expect(shown({ '$.a': stars }, document, lines)).toBe('{"a":"***"}\n\n[{"a":2}]\r\n"x"\n 7 \n{"a":"***"}');
    expect(shown({ $: stars }, '1\n2\n', lines)).toBe('"***"\n"***"\n');
    expect(shown({}, '', lines)).toBe('');
    // A reader that goes by lines would see other documents in these.
    for (const bad of ['{"a":\n1}', '[\n{"a":1}\n]', '{\n}', '[1\n,2]', '{}{}', '1 2', '{"a":1', '{"a":1}\n{']) {
      expect(shown({ '$.a': stars }, bad, lines)).toBeUndefined();
    }
  });

  test('can be given to one masker, which counts what it masked in all', () => {
    const one = masker({ '$.a': stars }, looking);
    for (let round = 0; round < 3; round++)
      expect(through(one, Buffer.from('{"a":1,"b":"a@b.org"}'))).toBe('{"a":"***","b":"#"}');
    expect(one.matches).toBe(6);
  });
});

/** Numbers below `below`, the same ones every time. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

describe('documents of all kinds are masked as parsing them, masking and comparing says', () => {
  const names = ['a', 'b', 'email', 'card', 'x y', '', 'ä', '__proto__', 'password', 'a"\\', '\u2028', 'ab'];
  const strings = [
    '',
    'x',
    'ana@example.com',
    '4111111111111111',
    'é€😀',
    '\ud800',
    '123-45-6789',
    'a\n"\\/',
    'hunter2hunter2',
    '\u001b[1m',
  ];
  const numbers = ['0', '-0', '1.0', '1E400', '12345678901234567890', '-1.5e-7', '4111111111111111', '123456789', '7'];
  const paths: Paths[] = [
    {},
    { '$.a': stars },
    { '$..email': { method: 'email' }, '$..card': keepLast },
    { '$.*.a': toNull, '$..b[*]': keepLast, "$['x y']": stars },
    { '$..*': keepLast },
    { '$[*][*]': { method: 'hash' }, '$..a.*': toNull, "$..['']": stars },
    { $: keepLast },
    { "$..['a\"\\\\']": stars, '$..ä': keepLast, "$['__proto__']": toNull },
  ];

  function document(next: (below: number) => number): string {
    const space = (): string => [' ', '\n', '\t\r', '', '', '', ''][next(7)] ?? '';
    const pick = (from: readonly string[]): string => from[next(from.length)] ?? '';
    const escaped = (text: string): string => {
      const written = JSON.stringify(text);
      return next(3) > 0
        ? written
        : `"${[...Array(text.length).keys()].map((at) => (next(2) ? `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}` : JSON.stringify(text.charAt(at)).slice(1, -1))).join('')}"`;
    };
    const value = (depth: number): string => {
      const kind = next(depth > 4 ? 5 : 8);
      if (kind === 0) return pick(numbers);
      if (kind === 1) return pick(['true', 'false', 'null']);
      if (kind < 5) return escaped(pick(strings));
      const members = Array.from(
        { length: next(5) },
        () => space() + (kind === 5 ? '' : `${escaped(pick(names))}${space()}:${space()}`) + value(depth + 1) + space(),
      );
      return kind === 5 ? `[${members.join()}]` : `{${members.join() || space()}}`;
    };
    return space() + value(0) + space();
  }

  const parts = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u00',
    '0',
    '-',
    '.',
    'e',
    'true',
    'nul',
    ' ',
    '\n',
    '\u0000',
    'é',
    '"a"',
    '":',
    '\\"',
  ];
  function mutated(text: string, next: (below: number) => number): string {
    let out = text;
    for (let times = 1 + next(2); times > 0; times--) {
      const at = next(out.length + 1);
      out = out.slice(0, at) + (next(2) ? parts[next(parts.length)] : '') + out.slice(at + next(3));
    }
    return out;
  }

  function check(
    text: string,
    set: Paths,
    text_: ReadonlyMap<string, CompiledMask> | undefined,
    size: () => number,
  ): string | undefined {
    const bytes = Buffer.from(text);
    const reference = parsed(bytes.toString('utf8'));
    const out = through(masker(set, { text: text_ }), bytes, size);
    if (reference === undefined || out === undefined)
      return reference === undefined && out === undefined ? undefined : `accepted wrongly, or not: ${text}`;
    if (!isUtf8(Buffer.from(out))) return `no UTF-8: ${text}`;
    const expected = masked(reference.tree, { paths: compiled(set), ...(text_ && { text: text_ }) });
    return isDeepStrictEqual(parsed(out)?.tree, expected) ? undefined : `${text} became ${out}`;
  }

  test('whole, and in random pieces', () => {
    const next = random(1);
    const wrong: string[] = [];
    let refused = 0;
    for (let round = 0; round < 20_000; round++) {
      const plain = document(next);
      const text = round % 2 === 0 ? plain : mutated(plain, next);
      if (parsed(text) === undefined) refused++;
      const set = paths[next(paths.length)] ?? {};
      const bytesMax = 1 + next(9);
      const found = check(text, set, next(3) === 0 ? everything : undefined, () =>
        next(4) === 0 ? 1_000 : 1 + next(bytesMax),
      );
      if (found !== undefined) wrong.push(found);
    }
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(refused).toBeGreaterThan(3_000);
    expect(refused).toBeLessThan(12_000);
  });

  test('cut at every byte, with the same bytes as the result', () => {
    const next = random(2);
    for (let round = 0; round < 150; round++) {
      const bytes = Buffer.from(document(next));
      const set = paths[round % paths.length] ?? {};
      const options = round % 3 === 0 ? looking : {};
      const whole = through(masker(set, options), bytes);
      for (let cut = 1; cut < bytes.length; cut++) {
        let first = true;
        const size = (): number => {
          const length = first ? cut : bytes.length;
          first = false;
          return length;
        };
        expect(through(masker(set, options), bytes, size)).toBe(whole);
      }
    }
  });
});

test('time is proportional to the bytes, whatever they are', () => {
  const hostile = ['[', '"\\u0040', '{"a":', '1', '"a@', '\\\\', '[[],', '{"":{},', 'é'];
  for (const part of hostile) {
    const bytes = Buffer.from(`["${part.replaceAll('"', '').repeat(200_000)}`);
    const startedMs = performance.now();
    through(masker({ '$..a': keepLast }, looking), bytes, () => 16);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  }
});
