import { describe, expect, test } from '@jest/globals';
import { detectors } from '../../../proxy/core/detectors.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { type ByteMasker, createByteMasker } from '../../../proxy/core/masker/bytes.ts';
import { type CompiledMask, createMasker } from '../../../proxy/core/masker.ts';
import { cases, jwt } from './detector-cases.ts';

const hidden: CompiledMask = { kind: 'constant', value: '#' };
const methods = createMasker({ key: Buffer.alloc(32, 7) });

/** A clock that only moves when told to. */
class Clock {
  ms = 1_000;
  monotonicMs = (): number => this.ms;
}

function byteMasker(masks: ReadonlyMap<string, CompiledMask>, clock = new Clock()): ByteMasker {
  const made = createByteMasker(masks, { clock });
  if ('error' in made) throw new Error(made.error);
  return made.masker;
}

function masking(...names: string[]): ByteMasker {
  return byteMasker(new Map(names.map((name) => [name, hidden])));
}

function all(clock?: Clock): ByteMasker {
  return byteMasker(new Map(Array.from(detectors.keys(), (name) => [name, hidden])), clock);
}

const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString('latin1');
const bytes = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');

function whole(one: ByteMasker, stream: Buffer): string {
  return text([...one.push(stream), ...one.finish()]);
}

function cut(one: ByteMasker, stream: Buffer, sizes: () => number): string {
  const out: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const size = sizes();
    out.push(...one.push(stream.subarray(at, at + size)));
    at += size;
  }
  return text([...out, ...one.finish()]);
}

/** Numbers below `below`, the same ones every time. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

const samples = cases.map(([, sample]) => sample);

/** Text that almost is something, again and again. */
const hostile = [
  ...['a', '-', '1', '4-', '4111 ', '1.1.1.', 'a@', 'a@a.', `${'a'.repeat(64)}@${'a'.repeat(253)}`, '----BEGIN'],
  ...[
    '-----BEGIN PRIVATE KEY',
    `-----BEGIN PRIVATE KEY${'-'.repeat(20_000)}`,
    '-----END ',
    'eyJ',
    'eyJ.',
    '+1 ',
    '(212) ',
  ],
  ...[`eyJ${'a'.repeat(999)}.${'a'.repeat(70_000)}`, 'GB82 WEST ', '123-45-6789 ', '123-45-', 'AKIA', '$6$', '$6$aa$'],
  ...[
    'd=',
    'password=',
    'token: a ',
    '://:',
    '//a:b@',
    'bearer ',
    'Authorization: bearer ',
    `secret:${'a'.repeat(5_000)}`,
  ],
  ...['\x1b', '\x1b[', '\x1b[1m1\x1b[m', '\x1b[1;1H4', '\x1b]', '\xe9@'],
];

describe('cutting a stream', () => {
  test('anywhere gives what the whole gives, with all detectors at once', () => {
    for (const sample of samples) {
      const stream = Buffer.from(`\n\x1b[1m${sample}\x1b[0m \x1b]0;`);
      const expected = whole(all(), stream);
      for (let at = 0; at <= stream.length; at++) {
        const one = all();
        const out = [...one.push(stream.subarray(0, at)), ...one.push(stream.subarray(at)), ...one.finish()];
        expect(text(out)).toBe(expected);
      }
    }
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('at random gives what the whole gives (%i)', (seed) => {
    const below = random(seed);
    const parts = [
      ...samples,
      ...hostile.map((unit) => unit.repeat(1 + below(3)).slice(0, 3_000)),
      '\x1b[',
      '\x1b]0;',
      'm',
      '\r\n',
    ];
    const stream = bytes(Array.from({ length: 400 }, () => parts[below(parts.length)] ?? '').join(''));
    for (let byte = 0; byte < 200; byte++) stream[below(stream.length)] = below(256);
    const expected = whole(all(), stream);
    for (const most of [2, 8, 100, 5_000]) expect(cut(all(), stream, () => 1 + below(most))).toBe(expected);
    expect(cut(all(), stream, () => 1)).toBe(expected);
  });

  test('just before a value does not hide what stands before it from its detector', () => {
    const filler = 'x'.repeat(2 * limits.detectorLookBehindBytes);
    for (const before of [
      `https://${'u'.repeat(64)}:`,
      "my-private_key\\\\'    =>    \\\\'",
      'secret_access_key"    =>    "',
      'Authorization"  :   "Bearer    ',
    ]) {
      const stream = bytes(`${filler} ${before}${'k9'.repeat(20)}@h " '`);
      const expected = whole(all(), stream);
      expect(expected).not.toContain('k9');
      for (let at = filler.length; at < stream.length; at++) {
        const one = all();
        expect(text([...one.push(stream.subarray(0, at)), ...one.push(stream.subarray(at)), ...one.finish()])).toBe(
          expected,
        );
      }
    }
  });

  test('a piece larger than what is looked at in one go is cut as well', () => {
    const stream = bytes(
      `${'x '.repeat(limits.maskSliceBytes / 2 - 3)}ana@example.com ${'y '.repeat(limits.maskSliceBytes)}`,
    );
    expect(whole(all(), stream)).toBe(stream.toString('latin1').replace('ana@example.com', '#'));
  });
});

describe('bytes that belong to no find', () => {
  test('go out as they came, whatever their encoding', () => {
    const below = random(9);
    const stream = Buffer.from(
      Array.from({ length: 200_000 }, () => [0, 9, 10, 27, 32, 128 + below(128)][below(6)] ?? 0),
    );
    const one = all();
    expect(whole(one, stream) === stream.toString('latin1')).toBe(true);
    expect(one.matches).toBe(0);
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(whole(all(), every)).toBe(every.toString('latin1'));
  });

  test('are not copied', () => {
    const stream = bytes('nothing here\nto: ana@example.com, nor there\n');
    const out = all().push(stream);
    expect(out.map((piece) => piece.toString())).toEqual(['nothing here\nto: ', '#', ', nor there\n']);
    expect(out[0]?.buffer === stream.buffer && out[2]?.buffer === stream.buffer).toBe(true);
    expect(out[0]?.byteOffset).toBe(stream.byteOffset);
  });

  test('may be changed by their owner once they were pushed', () => {
    const one = all();
    const piece = bytes('ana@exam');
    expect(one.push(piece)).toEqual([]);
    piece.fill(0);
    expect(text([...one.push(bytes('ple')), ...one.finish()])).toBe('ana@example');
  });
});

describe('a value', () => {
  test('reaches its mask as UTF-8 where it is that, and as Latin-1 where not', () => {
    const seen: string[] = [];
    const spy: CompiledMask = { kind: 'value', apply: (value) => `${seen.push(value)}`, tooLong: '!' };
    const stream = Buffer.concat([Buffer.from('josé@example.com '), bytes('jos\xe9@example.com')]);
    expect(whole(byteMasker(new Map([['email', spy]])), stream)).toBe('1 2');
    expect(seen).toEqual(['josé@example.com', 'josé@example.com']);
  });

  test('is masked by its own method; the name it belongs to stays', () => {
    const keep = methods.compile({ method: 'keep_last', count: 2 });
    expect(whole(byteMasker(new Map([['generic_secret', keep]])), bytes('password="hunter22"'))).toBe(
      'password="***22"',
    );
  });

  test('that two detectors find is hidden by the constant of either, in whatever order they were named', () => {
    const keep = methods.compile({ method: 'keep_last', count: 4 });
    const masks: [string, CompiledMask][] = [
      ['us_ssn', keep],
      ['generic_secret', hidden],
    ];
    for (const order of [masks, masks.toReversed()]) {
      expect(whole(byteMasker(new Map(order)), bytes('secret=123-45-6789'))).toBe('secret=#');
    }
    const both = new Map<string, CompiledMask>([...masks.slice(0, 1), ['generic_secret', keep]]);
    expect(whole(byteMasker(both), bytes('secret=123-45-6789'))).toBe('secret=***');
  });
});

describe('what is longer than its detector looks', () => {
  test.each([
    ['slack_token', `xoxb-${'1'.repeat(600)} `],
    ['github_token', `ghp_${'a'.repeat(600)} `],
    ['generic_secret', `password=${'a'.repeat(5_000)} `],
    ['password_hash', `$6$a$${'b'.repeat(2_000)} `],
    ['bearer_token', `Authorization: Bearer ${'c'.repeat(20_000)} `],
  ])('is hidden to its end: %s', (name, stream) => {
    const out = whole(masking(name), bytes(`${stream}end`));
    expect(out).toMatch(/^[A-Za-z:= ]*# end$/);
    expect(cut(masking(name), bytes(`${stream}end`), () => 7)).toBe(out);
  });

  test('is hidden to its end also where another detector finds something inside', () => {
    const keep = methods.compile({ method: 'keep_last', count: 4 });
    const masks = new Map([
      ['private_key', keep],
      ['ipv4', keep],
    ]);
    const key = `-----BEGIN PRIVATE KEY-----\n10.0.0.7\n${'QUJD\n'.repeat(limits.detectorHoldLengthMax)}`;
    expect(whole(byteMasker(masks), bytes(`${key}.`))).toBe('***.');
  });
});

describe('terminal sequences', () => {
  test.each([
    ['colours inside of a value go with it', '\x1b[31m123-\x1b[1;4m45\x1b[0m-6789\x1b[0m.', '\x1b[31m#\x1b[0m.'],
    ['as grep marks a part', 'ana@\x1b[01;31m\x1b[Kexample\x1b[m\x1b[K.com!', '#!'],
    ['character sets, modes and true colour', '\x1b(B10.\x1b[?25l0.\x1b[38;2;255;255;255m0.7\x1b[m ', '\x1b(B#\x1b[m '],
    ['a movement of the cursor separates', '123-45-6789\x1b[10;1H4111111111111111\x1b[5C', '#\x1b[10;1H#\x1b[5C'],
    ['a colour does not', 'x\x1b[31m10.0.0.7\x1b[0my', 'x\x1b[31m10.0.0.7\x1b[0my'],
    [
      'what a title says is looked at',
      '\x1b]0;ana@example.com\x07 \x1b]8;;http://a:bcd@e\x1b\\x',
      '\x1b]0;#\x07 \x1b]8;;http://a:#@e\x1b\\x',
    ],
    ['nor can numbers hide a number', '\x1b[4111111111111111m', '\x1b[#m'],
    ['one that never ends is text', `\x1b[${'1;'.repeat(40)}ana@b.org`, `\x1b[${'1;'.repeat(40)}#`],
    ['one at the very end stays', 'ana@b.org\x1b[3', '#\x1b[3'],
  ])('%s', (_, stream, expected) => {
    expect(whole(all(), bytes(stream))).toBe(expected);
    for (let size = 1; size < 9; size++) expect(cut(all(), bytes(stream), () => size)).toBe(expected);
  });

  test('what is known not to be seen: overwrites, repeats, a title inside', () => {
    for (const stream of [
      '123-46\x08\x085-6789 ',
      '1\x1b[1b0.0.0.7 ',
      '123-\x1b]0;x\x0745-6789 ',
      '123-45\r\n-6789 ',
    ]) {
      expect(whole(masking('us_ssn', 'ipv4'), bytes(stream)).includes('6789') || stream.includes('[1b')).toBe(true);
    }
  });
});

describe('what is held back', () => {
  test('is only what may still become a find', () => {
    const one = all();
    expect(text(one.push(bytes('\nlogin: ')))).toBe('\nlogin: ');
    expect(text(one.push(bytes('password: ')))).toBe('password: ');
    expect(text(one.push(bytes('$ ')))).toBe('$ ');
    expect(text(one.push(bytes('ana')))).toBe('');
    expect(one.heldBytes).toBe(3);
    expect(text(one.push(bytes(' ')))).toBe('ana ');
    expect(one.heldBytes).toBe(0);
  });

  test.each(hostile)('is bounded in bytes for a run of %j, and takes linear time however it is cut', (unit) => {
    // The longest things a detector knows need more.
    const size = unit.length > 20 ? 65_536 : 8_192;
    const stream = bytes(unit.repeat(Math.ceil(size / unit.length)).slice(0, size));
    const one = all();
    let most = 0;
    const out = cut(one, stream, () => {
      most = Math.max(most, one.heldBytes);
      return 1;
    });
    expect(most).toBeLessThanOrEqual(2 * limits.detectorHoldLengthMax);
    expect(out).toBe(whole(all(), stream));
    const large = Buffer.concat([stream, stream, stream, stream]);
    let pieces = 0;
    expect(cut(all(), large, () => (pieces++ % 2 === 0 ? 1 : 32_767))).toBe(whole(all(), large));
  });

  test('is not looked at again for every byte: pieces below a 64th of it are gathered first', () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${'QUJD\n'.repeat(1_280)}`;
    const one = all();
    expect(one.push(bytes(key))).toEqual([]);
    expect(one.push(bytes('-----END PRIVATE KEY-----\n'))).toEqual([]);
    expect(text(one.push(bytes('. '.repeat(50))))).toBe(`#\n${'. '.repeat(50)}`);
    const another = all();
    another.push(bytes(key));
    expect(text(another.push(bytes(`-----END PRIVATE KEY-----\n${'. '.repeat(50)}`)))).toBe(`#\n${'. '.repeat(50)}`);
  });

  test('is due to be shown a bounded time after its first byte came', () => {
    const clock = new Clock();
    const one = all(clock);
    one.push(bytes('done. '));
    expect(one.idleAtMs).toBeUndefined();
    one.push(bytes('log'));
    expect(one.idleAtMs).toBe(1_000 + limits.maskIdleMs);
    clock.ms += 20;
    one.push(bytes('in'));
    expect(one.idleAtMs).toBe(1_000 + limits.maskIdleMs);
    clock.ms += 20;
    one.push(bytes(' user'));
    expect(one.idleAtMs).toBe(1_040 + limits.maskIdleMs);
    expect(text(one.idle())).toBe('user');
    expect([one.idleAtMs, one.heldBytes]).toEqual([undefined, 0]);
  });
});

describe('showing what is held to somebody who waits', () => {
  test('masks what is a find as it stands', () => {
    const one = all();
    expect(text(one.push(bytes('call 212-555-0123')))).toBe('call ');
    expect(text(one.idle())).toBe('#');
    expect(text(one.push(bytes(' now')))).toBe(' ');
    expect(text(one.finish())).toBe('now');
  });

  test('hides the rest of what turns out to be one', () => {
    const one = masking('us_ssn');
    expect(text([...one.push(bytes('ssn 123-4')), ...one.idle()])).toBe('ssn 123-4');
    expect(text(one.idle())).toBe('');
    expect(text(one.push(bytes('5-6789 ok')))).toBe('# ok');
    expect(one.matches).toBe(1);
  });

  test('shows the rest of what does not', () => {
    const one = masking('us_ssn');
    expect(text([...one.push(bytes('123-4')), ...one.idle(), ...one.push(bytes('4 - 5')), ...one.finish()])).toBe(
      '123-44 - 5',
    );
  });

  test('hides a key that stops in the middle, and what follows of it', () => {
    const one = all();
    const key = '-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA';
    expect(text([...one.push(bytes(key)), ...one.idle()])).toBe('#');
    expect(text([...one.push(bytes('z8Kq\nQUJD\n')), ...one.idle()])).toBe('');
    expect(text([...one.push(bytes(jwt.slice(3, 9))), ...one.push(bytes('\n!')), ...one.finish()])).toBe('!');
  });

  test('never shows a byte twice, nor loses one, wherever it pauses', () => {
    const stream = 'x 12 \x1b[1mab\x1b[0m 10.0. eyJ -----B ana@ (212) token: ';
    for (let at = 0; at <= stream.length; at++) {
      const one = all();
      const out = [...one.push(bytes(stream.slice(0, at))), ...one.idle(), ...one.push(bytes(stream.slice(at)))];
      expect(text([...out, ...one.idle(), ...one.finish()])).toBe(stream);
    }
  });
});

test('an unknown detector is an error', () => {
  expect(createByteMasker(new Map([['constructor', hidden]]), { clock: new Clock() })).toEqual({
    error: expect.any(String),
  });
});
