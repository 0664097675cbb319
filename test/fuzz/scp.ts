/**
 * What must hold for any bytes that either side of an scp can send. Each check throws when it does not.
 */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { limits } from '../../proxy/core/limits.ts';
import { ScpConversation, type ScpFile } from '../../proxy/protocols/ssh/scp/conversation.ts';
import type { Random } from './mutate.ts';

interface Result {
  readonly files: readonly ScpFile[];
  readonly forwarded: string;
  readonly fault: string;
}

/** A sink that does not want every seventh thing, and says so. */
function answer(count: number): Buffer {
  return count % 7 === 6 ? Buffer.from('\x01no\n') : Buffer.from([0]);
}

function runSource(bytes: Buffer, cut: (rest: number) => number): Result {
  const files: ScpFile[] = [];
  const forwarded: Buffer[] = [];
  const talk = new ScpConversation({ limits, file: (file) => files.push(file) });
  let answers = 0;
  let fault = '';
  for (let at = 0; at < bytes.length && fault === ''; ) {
    const chunk = bytes.subarray(at, at + Math.max(1, cut(bytes.length - at)));
    const read = talk.source(chunk, (sent) => forwarded.push(Buffer.from(sent)));
    if (typeof read !== 'number') fault = read.code;
    else {
      at += read;
      if (read < chunk.length)
        deepStrictEqual(talk.sink(answer(answers++)), undefined, 'an answer in turn was refused');
    }
  }
  talk.finish();
  const all = Buffer.concat(forwarded);
  ok(bytes.subarray(0, all.length).equals(all), 'what was forwarded is not what came');
  for (const { path, bytes: size } of files) {
    ok(
      path.split('/').every((name) => name !== '' && name !== '.' && name !== '..'),
      'a path leads elsewhere',
    );
    ok(!/\p{Cc}/u.test(path), 'a path has control characters');
    ok(size >= 0 && size <= limits.scpFileBytesMax);
  }
  return { files, forwarded: all.toString('hex'), fault };
}

/** A source's stream: the same files and the same bytes however it is cut. */
export function checkScpSource(bytes: Buffer, random: Random): void {
  const expected = runSource(bytes, (rest) => rest);
  deepStrictEqual(
    runSource(bytes, () => 1),
    expected,
  );
  deepStrictEqual(
    runSource(bytes, () => random(40)),
    expected,
  );
}

const script = [
  'T1 0 1 0\n',
  'D0755 0 d\n',
  'C0644 5 a\n',
  'hello\0',
  'C0644 0 b\n',
  '\0',
  'E\n',
  'C0600 1 c\n',
  'x\0',
];

/** Each piece of the script is sent as soon as the sink lets it, and once more of the sink has come. */
function runSink(bytes: Buffer, cut: (rest: number) => number): { files: readonly ScpFile[]; fault: string } {
  const files: ScpFile[] = [];
  const talk = new ScpConversation({ limits, file: (file) => files.push(file) });
  let rest = Buffer.from(script.join(''));
  let fault = '';
  for (let at = 0; at < bytes.length && fault === ''; ) {
    const chunk = bytes.subarray(at, at + Math.max(1, cut(bytes.length - at)));
    at += chunk.length;
    // One byte at a time: it is the source's turn between two answers, and what it sends is not cut here.
    for (const byte of chunk) {
      const refused = talk.sink(Buffer.from([byte]));
      const read = refused ?? talk.source(rest, () => {});
      if (typeof read !== 'number') {
        fault = read.code;
        break;
      }
      rest = rest.subarray(read);
    }
  }
  talk.finish();
  return { files, fault };
}

/** A sink's stream: read the same however it is cut, and never a file that it did not say was done. */
export function checkScpSink(bytes: Buffer, random: Random): void {
  const expected = runSink(bytes, (rest) => rest);
  deepStrictEqual(
    runSink(bytes, () => random(40)),
    expected,
  );
  const zeroes = bytes.filter((byte) => byte === 0).length;
  ok(expected.files.filter(({ complete }) => complete).length <= zeroes, 'a file is done that nobody said was');
}
