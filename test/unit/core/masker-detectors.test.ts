import { describe, expect, test } from '@jest/globals';
import { detectors } from '../../../proxy/core/detectors.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createTextMasker, type TextMasker } from '../../../proxy/core/masker/stream.ts';
import { type CompiledMask, createMasker } from '../../../proxy/core/masker.ts';
import { cases, header, jwt } from './detector-cases.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });
const hidden: CompiledMask = { kind: 'constant', value: '#' };

function textMasker(masks: ReadonlyMap<string, CompiledMask>): TextMasker {
  const made = createTextMasker(masks);
  if ('error' in made) throw new Error(made.error);
  return made.masker;
}

function only(name: string): TextMasker {
  return textMasker(new Map([[name, hidden]]));
}

function all(): TextMasker {
  return textMasker(new Map(Array.from(detectors.keys(), (name) => [name, hidden])));
}

function whole(one: TextMasker, text: string): string {
  return one.push(text) + one.finish();
}

describe('the detectors', () => {
  test.each(cases)('%s in %j', (name, text, masked) => {
    expect(whole(only(name), text)).toBe(masked);
  });

  test.each(cases)('%s in %j, cut anywhere', (name, text, masked) => {
    for (let at = 0; at <= text.length; at++) {
      const one = only(name);
      expect(one.push(text.slice(0, at)) + one.push(text.slice(at)) + one.finish()).toBe(masked);
    }
    const one = only(name);
    expect(Array.from({ length: text.length }, (_, at) => one.push(text[at] ?? '')).join('') + one.finish()).toBe(
      masked,
    );
  });

  test('all at once give the same however the text is cut', () => {
    const text = cases.map(([, one]) => one).join('\n ');
    const expected = whole(all(), text);
    for (const size of [1, 2, 3, 7, 64, 1000]) {
      const one = all();
      let out = '';
      for (let at = 0; at < text.length; at += size) out += one.push(text.slice(at, at + size));
      expect(out + one.finish()).toBe(expected);
    }
  });

  test('all at once leave nothing of what one of them finds', () => {
    const found = cases.filter(([, text, masked]) => text !== masked);
    const text = whole(all(), found.map(([, one]) => one).join('\n '));
    for (const secret of [jwt, 'ana@example.com', '4111', '123-45-6789', 'AKIAIOSFODNN7EXAMPLE', 'MIIEow', '212']) {
      expect(text).not.toContain(secret);
    }
  });

  test('every detector has a case', () => {
    expect(new Set(cases.map(([name]) => name))).toEqual(new Set(detectors.keys()));
  });
});

describe('masking a streamed text', () => {
  test('an unknown detector is an error', () => {
    expect(createTextMasker(new Map([['toString', hidden]]))).toEqual({ error: expect.any(String) });
  });

  test('each find is masked by its own method and counted', () => {
    const one = textMasker(
      new Map([
        ['us_ssn', masker.compile({ method: 'keep_last', count: 4 })],
        ['email', masker.compile({ method: 'email' })],
        ['ipv4', masker.compile({ method: 'null' })],
      ]),
    );
    expect(whole(one, 'ana@example.com 123-45-6789 10.0.0.7!')).toBe('***@example.com ***6789 !');
    expect(one.matches).toBe(3);
  });

  test('finds that overlap are hidden together', () => {
    const one = textMasker(
      new Map([
        ['phone', masker.compile({ method: 'keep_first', count: 12 })],
        ['us_ssn', masker.compile({ method: 'keep_last', count: 4 })],
      ]),
    );
    expect(whole(one, 'x +1 212 123-45-6789 y, +1 212 555 0123')).toBe('x *** y, +1 212 555 0***');
  });

  test('text that cannot be part of a find is shown at once', () => {
    const one = all();
    expect(one.push('\n\n!? = ')).toBe('\n\n!? = ');
    expect(one.push('ana')).toBe('');
    expect(one.push(' ')).toBe('ana ');
  });

  test('what is held back is bounded, and what is too long is hidden to its end', () => {
    const body = 'QUJD\n'.repeat(limits.detectorHoldLengthMax);
    const one = only('private_key');
    const shown = one.push(`-----BEGIN PRIVATE KEY-----\n${body.slice(0, limits.detectorHoldLengthMax)}`);
    expect(shown).toBe('#');
    expect(one.push(body) + one.push('!') + one.finish()).toBe('!');
    expect(whole(only('jwt'), `${header}.${'x'.repeat(100_000)}.y z`)).toBe('# z');
  });

  // Each of these invites a matcher to try again from every position.
  test.each([
    '$6$',
    'd=',
    'token: a ',
    '://:',
    'bearer ',
    'a@',
    'eyJ',
    '-----BEGIN ',
    '4111 ',
    '1.1.1.',
    'GB82 WEST ',
    '+1 212 555 ',
    'AKIA',
    '123-45-6789-',
    'é',
  ])('a long run of %j takes linear time', (unit) => {
    const text = unit.repeat(Math.ceil(300_000 / unit.length));
    expect(whole(all(), text).length).toBeLessThanOrEqual(text.length);
  });
});
