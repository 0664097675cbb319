import { describe, expect, test } from '@jest/globals';
import { detectors } from '../../../proxy/core/detectors.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createTextMasker, type TextMasker } from '../../../proxy/core/masker/stream.ts';
import { type CompiledMask, createMasker } from '../../../proxy/core/masker.ts';

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

const header = Buffer.from('{"alg":"ES256","typ":"JWT"}').toString('base64url');
const jwt = `${header}.${Buffer.from('{"sub":"ana"}').toString('base64url')}.c2lnbmF0dXJl`;
const pem = `-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n+/==\n-----END RSA PRIVATE KEY-----`;

const cases: [name: string, text: string, masked: string][] = [
  ['email', 'to ana@example.com.', 'to #.'],
  ['email', '<ana.b+c%d@mail.example.co.uk>', '<#>'],
  ['email', 'josé@exämple.com élan@b.org', '# #'],
  ['email', "o'neil@example.com", '#'],
  ['email', 'ana@xn--e1afmkfd.xn--p1ai', '#'],
  ['email', 'a@b a@b.1 a@.com a@b..com @b.com a@b.c- x', 'a@b a@b.1 a@.com a@b..com @b.com a@b.c- x'],
  ['email', `${'x'.repeat(65)}@example.com`, `${'x'.repeat(65)}@example.com`],
  ['us_ssn', '123-45-6789 123 45 6789', '# #'],
  ['us_ssn', '(123-45-6789)', '(#)'],
  [
    'us_ssn',
    '000-45-6789 666-45-6789 123-00-6789 123-45-0000 987-65-4321',
    '000-45-6789 666-45-6789 123-00-6789 123-45-0000 987-65-4321',
  ],
  ['us_ssn', '1123-45-6789 123-45-67890 123-45 6789', '1123-45-6789 123-45-67890 123-45 6789'],
  ['credit_card', '4111111111111111', '#'],
  ['credit_card', 'card 4111 1111 1111 1111, ok', 'card #, ok'],
  ['credit_card', '3782-822463-10005 exp 12', '# exp 12'],
  ['credit_card', '5555 5555 5555 4444 12 34', '# 12 34'],
  [
    'credit_card',
    '4111111111111112 14111111111111111 41111111111111111111',
    '4111111111111112 14111111111111111 41111111111111111111',
  ],
  ['iban', 'GB82 WEST 1234 5698 7654 32.', '#.'],
  ['iban', 'to DE89370400440532013000 now', 'to # now'],
  ['iban', 'GB82 WEST 1234 5698 7654 33', 'GB82 WEST 1234 5698 7654 33'],
  ['iban', 'HELLO WORLD AGAIN AND AGAIN', 'HELLO WORLD AGAIN AND AGAIN'],
  ['phone', '+49 30 901820 and (212) 555-0123, 212.555.0123', '# and #, #'],
  ['phone', '+1 2 x212-555-0123 1212-555-0123', '+1 2 x212-555-0123 1212-555-0123'],
  ['ipv4', 'from 10.0.0.7:5432, 255.255.255.255.', 'from #:5432, #.'],
  ['ipv4', '1.2.3.4.5 256.1.1.1 1.2.3 v1.2.3.4', '1.2.3.4.5 256.1.1.1 1.2.3 v1.2.3.4'],
  ['aws_access_key', 'AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE', '# #'],
  [
    'aws_access_key',
    'AKIAIOSFODNN7EXAMPLEX XAKIAIOSFODNN7EXAMPLE AKIAiosfodnn7example',
    'AKIAIOSFODNN7EXAMPLEX XAKIAIOSFODNN7EXAMPLE AKIAiosfodnn7example',
  ],
  ['jwt', `Bearer ${jwt}.`, 'Bearer #.'],
  ['jwt', `"${jwt}"`, '"#"'],
  ['jwt', `${header}.e30. ${jwt}. x`, '# #. x'],
  ['jwt', `${header} eyJ.eyJ.x x${jwt}`, `${header} eyJ.eyJ.x x${jwt}`],
  ['private_key', `a\n${pem}\nb`, 'a\n#\nb'],
  ['private_key', pem.replaceAll('\n', '\\n'), '#'],
  ['private_key', pem.slice(0, 50), '#'],
  ['private_key', pem.replaceAll('RSA PRIVATE', 'PUBLIC'), pem.replaceAll('RSA PRIVATE', 'PUBLIC')],
  ['private_key', '----------BEGIN OPENSSH PRIVATE KEY-----x-----END OPENSSH PRIVATE KEY-----', '-----#'],
];

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
  test.each(['a@', 'eyJ', '-----BEGIN ', '4111 ', '1.1.1.', 'GB82 WEST ', '+1 212 555 ', 'AKIA', '123-45-6789-', 'é'])(
    'a long run of %j takes linear time',
    (unit) => {
      const text = unit.repeat(Math.ceil(300_000 / unit.length));
      expect(whole(all(), text).length).toBeLessThanOrEqual(text.length);
    },
  );
});
