import { describe, expect, test } from '@jest/globals';
import { LineEditor, type LineEvent } from '../../../../proxy/protocols/ssh/line-editor.ts';

const bounds = { lengthMax: 40, historyMax: 3 };

const pieces = new RegExp(`${'\\u001b'}\\[(?:(K)|(\\d+)([CD]))|([\\s\\S])`, 'gu');

/** What a terminal of one line shows after the text: characters, cursor movement, and erasing to the end of the line. */
function screen(text: string): string {
  let line: string[] = [];
  let at = 0;
  for (const [, erase, count, direction, character = ''] of text.matchAll(pieces)) {
    if (erase !== undefined) line = line.slice(0, at);
    else if (direction !== undefined) at += direction === 'C' ? Number(count) : -Number(count);
    else if (character === '\r') at = 0;
    else if (character !== '\n' && character !== '\u0007') line[at++] = character;
  }
  return line.join('');
}

/** Types keys into one editor, in pieces. */
function typed(pieces: readonly (string | Buffer)[], editor = new LineEditor(bounds)) {
  let shown = '';
  const events: LineEvent[] = [];
  for (const piece of pieces) {
    let keys: Buffer = Buffer.from(piece);
    while (keys.length > 0) {
      const { show, event, rest } = editor.push(keys);
      shown += show;
      keys = event === undefined ? Buffer.alloc(0) : rest;
      if (event !== undefined) events.push(event);
    }
  }
  return { shown, events };
}

const line = (text: string): LineEvent => ({ kind: 'line', text });

describe('a line is what the terminal shows', () => {
  test.each([
    ['plain text', 'uptime\r', 'uptime'],
    ['a line feed instead of a carriage return', 'uptime\n', 'uptime'],
    ['backspace', 'uptimr\u007fe\r', 'uptime'],
    ['a character put in between', 'uptme\u001b[D\u001b[Di\r', 'uptime'],
    ['the beginning and the end', 'ptim\u0001u\u0005e\r', 'uptime'],
    ['Home and End as keypads send them', 'ptim\u001bOHu\u001bOFe\r', 'uptime'],
    ['the whole line erased', 'rm -rf /\u0015uptime\r', 'uptime'],
    ['a word erased', 'sudo uptime\u0017\u0017uptime\r', 'uptime'],
    ['erasing in the middle', 'upXtime\u001b[D\u001b[D\u001b[D\u001b[D\u007f\r', 'uptime'],
    ['letters outside ASCII', 'écho 日本🙂\u007f!\r', 'écho 日本!'],
  ])('%s', (_title, keys, expected) => {
    const { shown, events } = typed([keys]);
    expect(events).toEqual([line(expected)]);
    expect(screen(shown)).toBe(expected);
  });

  test('however the keys are cut', () => {
    const keys = Buffer.from('écho\u001b[D\u001b[DX日\u0001>\r\nnext\r');
    const whole = typed([keys]);
    for (let cut = 1; cut < keys.length; cut++) {
      expect(typed([keys.subarray(0, cut), keys.subarray(cut)])).toEqual(whole);
    }
    expect(whole.events.map((event) => event.kind === 'line' && event.text)).toEqual(['>écX日ho', 'next']);
  });

  test('keys behind the end of a line are left for whoever reads next', () => {
    const { rest } = new LineEditor(bounds).push(Buffer.from('cat\rsecret'));
    expect(rest.toString()).toBe('secret');
  });
});

test('Control-C drops the line, Control-D ends only an empty one', () => {
  const { events } = typed(['rm -rf /\u0003', 'a\u0004b\r', '\u0004']);
  expect(events).toEqual([{ kind: 'interrupt' }, line('ab'), { kind: 'end' }]);
});

test('earlier lines come back, as many as are remembered, each once', () => {
  const editor = new LineEditor(bounds);
  typed(['one\r', 'two\r', 'two\r', 'three\r', 'four\r'], editor);
  const up = '\u001b[A';
  expect(typed([`${up}\r`], editor).events).toEqual([line('four')]);
  expect(typed([`${up}${up}${up}${up}${up}\r`], editor).events).toEqual([line('two')]);
  expect(typed([`x${up}\u001b[B\r`], editor).events).toEqual([line('')]);
});

test('no key writes a control character into the line, and a full line takes no more', () => {
  const { shown, events } = typed(['\u0000\u0007\t\u009b\u001b[15~\u001b[Zok\r', `${'x'.repeat(100)}\r`]);
  expect(events).toEqual([line('ok'), line('x'.repeat(40))]);
  expect(['\u0000', '\t', '\u009b'].filter((key) => shown.includes(key))).toEqual([]);
});

test('an escape sequence that never ends swallows no more than a few keys', () => {
  expect(typed(['\u001b[1111111abc\r']).events).toEqual([line('1111abc')]);
});
