import { expect, test } from '@jest/globals';
import { TerminalFilter } from '../../../../proxy/cli/replay/terminal-filter.ts';

/** What is let through, however the stream is cut. */
function shown(stream: string): string {
  const whole = new TerminalFilter().push(stream);
  for (let at = 0; at <= stream.length; at++) {
    const filter = new TerminalFilter();
    expect(filter.push(stream.slice(0, at)) + filter.push(stream.slice(at))).toBe(whole);
  }
  return whole;
}

test.each([
  ['text and colours', 'a\t\x1b[1;38:2::1:2:3mü😀\x1b[m\r\n\b'],
  [
    'moving, erasing, scrolling',
    '\x1b[2J\x1b[3;4H\x1b[K\x1b[5C\x1b[A\x1b[2B\x1b[D\x1b[E\x1b[F\x1b[3G\x1b[2L\x1b[1;20r\x1bM\x1b7\x1b8',
  ],
  ['the cursor, the alternate screen, character sets', '\x1b[?25l\x1b[?1049h\x1b(0\x1b(B\x1b[?1049l'],
])('what draws is shown: %s', (_, stream) => {
  expect(shown(stream)).toBe(stream);
});

test.each([
  ['a title', '\x1b]0;owned\x07'],
  ['the clipboard', '\x1b]52;c;cm0gLXJmIC8=\x1b\\'],
  ['a query in a device control string', '\x1bP+q544e\x1b\\'],
  ['application, privacy and other strings', '\x1b_x\x1b\\\x1b^y\x1b\\\x1bXz\x1b\\'],
  ['reports of the terminal and the cursor', '\x1b[c\x1b[>c\x1b[6n\x1b[?6n\x1b[>q\x1b[21t\x1b[?1$p\x1bZ\x05'],
  ['printing, keys, the mouse, pasting', '\x1b[5i\x1b[?1h\x1b[?1000h\x1b[?2004h\x1b[>4;2m'],
  ['8-bit controls', '\u009b\u009d\u0090'],
  ['the bell', '\x07\x07'],
  ['what is longer than a sequence', `\x1b[${'1;'.repeat(40)}m`],
])('what asks, tells or changes is not: %s', (_, stream) => {
  const out = shown(`a${stream}b`);
  expect([out.at(0), out.at(-1)]).toEqual(['a', 'b']);
  expect(out).not.toContain('\x1b');
  expect(out.length).toBe(2);
});

test('a string that is broken off ends', () => {
  expect(shown('\x1b]0;x\x18a')).toBe('a');
  expect(shown('\x1b]0;x\x1b[1mA')).toBe('\x1b[1mA');
});

test('a sequence that is broken off hides nothing that follows', () => {
  expect(shown('\x1b[1\x18a')).toBe('a');
  expect(shown('\x1b[1éa')).toBe('éa');
  expect(shown('\x1b\x1b[1ma')).toBe('\x1b[1ma');
});
