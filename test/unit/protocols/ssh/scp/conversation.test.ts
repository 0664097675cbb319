import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import type { Fault } from '../../../../../proxy/core/types.ts';
import { ScpConversation, type ScpFile } from '../../../../../proxy/protocols/ssh/scp/conversation.ts';

/** What each side says in turn: `>` the source, `<` the sink. */
type Script = readonly (readonly ['>' | '<', string])[];

const ok = ['<', '\0'] as const;
const tree: Script = [
  ok,
  ['>', 'T1700000000 0 1700000001 0\n'],
  ok,
  ['>', 'D0755 0 folder\n'],
  ok,
  ['>', 'C0644 5 first\n'],
  ok,
  ['>', 'hello\0'],
  ok,
  ['>', 'D0700 0 ü\n'],
  ok,
  ['>', 'C0600 0 empty\n'],
  ok,
  ['>', '\0'],
  ok,
  ['>', 'E\n'],
  ok,
  ['>', '\x01scp: gone: No such file or directory\n'],
  ['>', 'C0755 11 lines\n'],
  ok,
  ['>', 'E\nC0644 1 x\0'],
  ok,
  ['>', 'E\n'],
  ok,
];

interface Played {
  readonly files: readonly ScpFile[];
  readonly forwarded: string;
  readonly fault: string | undefined;
}

/** Plays a script, each saying cut into pieces. A source that is not let go on is a fault of the script. */
function play(script: Script, cut: (bytes: Buffer) => Buffer[], names?: ReadonlySet<string>): Played {
  const files: ScpFile[] = [];
  const forwarded: Buffer[] = [];
  const talk = new ScpConversation({ limits, names, file: (file) => files.push(file) });
  let fault: Fault | undefined;
  for (const [side, text] of script) {
    for (const piece of cut(Buffer.from(text))) {
      if (side === '<') fault = talk.sink(piece);
      else {
        const read = talk.source(piece, (bytes) => forwarded.push(Buffer.from(bytes)));
        if (typeof read !== 'number') fault = read;
        else if (read < piece.length) return { files, forwarded: '', fault: 'too early' };
      }
      if (fault !== undefined) break;
    }
    if (fault !== undefined) break;
  }
  talk.finish();
  return { files, forwarded: Buffer.concat(forwarded).toString(), fault: fault?.code };
}

const whole = (bytes: Buffer) => [bytes];
const bytewise = (bytes: Buffer) => [...bytes].map((byte) => Buffer.from([byte]));
const file = (path: string, mode: number, content: string) => ({
  path,
  mode,
  bytes: Buffer.byteLength(content),
  sha256: createHash('sha256').update(content).digest('hex'),
  complete: true,
});
const sourceOf = (script: Script) => script.flatMap(([side, text]) => (side === '>' ? [text] : [])).join('');

test('a tree of files is followed, and every byte goes on', () => {
  const { files, forwarded, fault } = play(tree, whole);
  expect(fault).toBeUndefined();
  expect(files).toEqual([
    file('folder/first', 0o644, 'hello'),
    file('folder/ü/empty', 0o600, ''),
    file('folder/lines', 0o755, 'E\nC0644 1 x'),
  ]);
  expect(forwarded).toBe(sourceOf(tree));
});

test('the same however it is cut', () => {
  const expected = play(tree, whole);
  expect(play(tree, bytewise)).toEqual(expected);
  const longest = Math.max(...tree.map(([, text]) => Buffer.byteLength(text)));
  for (let at = 0; at <= longest; at++) {
    expect(
      play(tree, (bytes) => [bytes.subarray(0, at), bytes.subarray(at)].filter(({ length }) => length > 0)),
    ).toEqual(expected);
  }
});

describe('refused', () => {
  const starting = (line: string): Script => [ok, ['>', line]];

  test.each([
    ['a path', 'C0644 1 a/b\n'],
    ['an absolute path', 'C0644 1 /etc/passwd\n'],
    ['the folder itself', 'C0644 1 .\n'],
    ['the folder above', 'D0755 0 ..\n'],
    ['a name that is none', 'C0644 1 \n'],
    ['NUL in a name', 'C0644 1 a\0b\n'],
    ['an escape in a name', 'C0644 1 a\x1b[2J\n'],
    ['a carriage return in a name', 'C0644 1 a\rb\n'],
    ['a control character of eight bits in a name', 'C0644 1 a\u009bb\n'],
    ['a name that reads backwards', 'C0644 1 a\u202eb\n'],
    ['a name that is too long', `C0644 1 ${'a'.repeat(256)}\n`],
    ['a mode of five digits', 'C00644 1 a\n'],
    ['a mode that is not octal', 'C0688 1 a\n'],
    ['a negative size', 'C0644 -1 a\n'],
    ['a size in hexadecimal', 'C0644 0x10 a\n'],
    ['a size with a sign', 'C0644 +1 a\n'],
    ['a folder with a size', 'D0755 1 a\n'],
    ['two spaces', 'C0644  1 a\n'],
    ['times that are none', 'Tyesterday 0 0 0\n'],
    ['the end of a folder that nobody is in', 'E\n'],
    ['an end with more', 'E \n'],
    ['an empty line', '\n'],
    ['an answer in place of a line', '\0'],
    ['another line', 'X\n'],
    ['the banner of a shell', 'Welcome to Debian\n'],
  ])('%s', (_, line) => {
    for (const cut of [whole, bytewise]) {
      expect(play(starting(line), cut)).toMatchObject({ fault: 'operation_malformed', files: [], forwarded: '' });
    }
  });

  test('what is not UTF-8', () => {
    const talk = new ScpConversation({ limits, file: () => {} });
    talk.sink(Buffer.from([0]));
    const line = Buffer.concat([Buffer.from('C0644 1 a'), Buffer.from([0xff, 0x0a])]);
    expect(talk.source(line, () => {})).toMatchObject({ code: 'operation_malformed' });
  });

  test.each([
    ['a file larger than any is', `C0644 ${limits.scpFileBytesMax + 1} a\n`],
    ['a size of twenty digits', 'C0644 99999999999999999999 a\n'],
    ['a line without an end', `C0644 1 ${'a'.repeat(9_000)}`],
    ['a message without an end', `\x01${'a'.repeat(9_000)}`],
  ])('%s', (_, line) => {
    expect(play(starting(line), whole).fault).toBe('operation_too_large');
    expect(play(starting(line), bytewise).fault).toBe('operation_too_large');
  });

  test('folders that are too deep', () => {
    const down = Array.from({ length: limits.scpDepthMax }, () => [['>', 'D0755 0 d\n'], ok] as const).flat();
    expect(play([ok, ...down], whole).fault).toBeUndefined();
    expect(play([ok, ...down, ['>', 'D0755 0 d\n']], whole).fault).toBe('operation_too_large');
  });

  test('content that is not as long as was said', () => {
    expect(play([ok, ['>', 'C0644 3 a\n'], ok, ['>', 'abcd\0']], whole).fault).toBe('operation_malformed');
  });

  test('a file that was not asked for', () => {
    const names = new Set(['wanted']);
    expect(play([ok, ['>', 'C0644 1 .bashrc\n']], whole, names).fault).toBe('operation_malformed');
    expect(play([ok, ['>', 'D0755 0 .ssh\n']], whole, names).fault).toBe('operation_malformed');
    expect(play([ok, ['>', 'D0755 0 wanted\n'], ok, ['>', 'C0644 1 inner\n']], whole, names).fault).toBeUndefined();
  });

  test.each([
    ['before it was spoken to', [ok, ok]],
    ['twice', [ok, ['>', 'C0644 1 a\n'], ok, ok]],
    ['in the middle of content', [ok, ['>', 'C0644 5 a\n'], ok, ['>', 'ab'], ['<', '\x01disk full\n']]],
    ['in other words', [['<', 'bash: scp: command not found\n']]],
  ] satisfies [string, Script][])('a sink that answers %s', (_, script) => {
    expect(play(script, whole).fault).toBe('operation_malformed');
  });
});

describe('a source has to wait for its answer', () => {
  const talkAfter = (script: Script): ScpConversation => {
    const talk = new ScpConversation({ limits, file: () => {} });
    for (const [side, text] of script) {
      if (side === '<') talk.sink(Buffer.from(text));
      else talk.source(Buffer.from(text), () => {});
    }
    return talk;
  };

  test('before it begins', () => {
    expect(talkAfter([]).source(Buffer.from('C0644 1 a\n'), () => {})).toBe(0);
  });

  test('with the content, so that a refused file is not taken for lines', () => {
    const smuggled = 'C0644 8 a\nC0644 1 b\n';
    const talk = talkAfter([ok]);
    expect(talk.source(Buffer.from(smuggled), () => {})).toBe(10);
    talk.sink(Buffer.from('\x01no space\n'));
    // It was refused: what would have been content is the next line, to the sink and to the gate.
    const forwarded: string[] = [];
    expect(talk.source(Buffer.from(smuggled.slice(10)), (bytes) => forwarded.push(bytes.toString()))).toBe(10);
    expect(forwarded).toEqual(['C0644 1 b\n']);
  });

  test('while the message of an answer is not at its end', () => {
    const talk = talkAfter([ok, ['>', 'C0644 1 a\n'], ['<', '\x01half a mess']]);
    expect(talk.source(Buffer.from('x'), () => {})).toBe(0);
  });
});

describe('what did not work is told as such', () => {
  const incomplete = { path: 'a', mode: 0o644, bytes: 3, sha256: undefined, complete: false };

  test.each([
    ['the sink does not want it', [ok, ['>', 'C0644 3 a\n'], ['<', '\x01a: Permission denied\n']], incomplete],
    ['the channel ends', [ok, ['>', 'C0644 3 a\n'], ok, ['>', 'ab']], incomplete],
    ['the source could not read it', [ok, ['>', 'C0644 3 a\n'], ok, ['>', 'abc\x01a: I/O error\n'], ok], incomplete],
    [
      'the sink could not write it',
      [ok, ['>', 'C0644 3 a\n'], ok, ['>', 'abc\0'], ['<', '\x01a: No space left\n']],
      { ...file('a', 0o644, 'abc'), complete: false },
    ],
    ['the sink gives up', [ok, ['>', 'C0644 3 a\n'], ['<', '\x02a: fatal\n']], incomplete],
  ] satisfies [string, Script, ScpFile][])('when %s', (_, script, expected) => {
    for (const cut of [whole, bytewise])
      expect(play(script, cut)).toMatchObject({ files: [expected], fault: undefined });
  });

  test('a folder that the sink does not want is not entered', () => {
    const script: Script = [ok, ['>', 'D0755 0 d\n'], ['<', '\x01d: Permission denied\n'], ['>', 'C0644 0 a\n'], ok];
    expect(play([...script, ['>', '\0'], ok], whole).files).toEqual([file('a', 0o644, '')]);
    expect(play([...script, ['>', '\0'], ok, ['>', 'E\n']], whole).fault).toBe('operation_malformed');
  });

  test.each([
    ['the sink gave up', [ok, ['>', 'C0644 3 a\n'], ['<', '\x02fatal\n'], ['>', 'C0644 3 b\n']]],
    [
      'the sink never began',
      [
        ['<', '\x01no such folder\n'],
        ['>', 'C0644 3 b\n'],
      ],
    ],
    ['the source gave up', [ok, ['>', '\x02lost\n'], ['>', 'C0644 3 b\n']]],
  ] satisfies [string, Script][])('nothing goes on after %s', (_, script) => {
    const { fault, forwarded } = play(script, whole);
    expect(fault).toBe('operation_malformed');
    expect(forwarded).not.toContain('C0644 3 b');
  });
});
