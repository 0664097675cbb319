import { StringDecoder } from 'node:string_decoder';
import type { Json, JsonObject } from '../../core/types.ts';
import { isObject, isSaid, list, margin, type Printer, stamp, text } from './text.ts';

/** A line of output is printed in parts of this many characters. */
const lineLengthMax = 4_096;

const streams = ['stdout', 'stderr'] as const;

/**
 * Commands with what their client saw, line by line (`2>` is standard error), what was transferred and forwarded, and how each
 * ended. The id in brackets is the operation's, for `--operation`.
 */
export function sshPrinter(): Printer {
  const operations = new Map<string, Output>();
  return ({ kind, timeMs, decisionId = '', data }) => {
    const output = operations.get(decisionId) ?? new Output();
    if (data instanceof Uint8Array) {
      operations.set(decisionId, output);
      return kind === 'stdout' || kind === 'stderr' ? output.push(kind, data) : [];
    }
    const rest = kind === 'exit' || kind === 'command' ? output.rest() : [];
    if (kind === 'exit') operations.delete(decisionId);
    return [...rest, `${stamp(timeMs)}  ${summary(kind, data, decisionId)}`, ...details(kind, data)];
  };
}

/** Cuts the output of one operation into lines. */
class Output {
  readonly #decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  readonly #rest = { stdout: '', stderr: '' };

  push(stream: (typeof streams)[number], bytes: Uint8Array): string[] {
    const lines = (this.#rest[stream] + this.#decoders[stream].write(Buffer.from(bytes))).split('\n');
    const last = lines.pop() ?? '';
    const whole = last.length > lineLengthMax ? last.length - (last.length % lineLengthMax) : 0;
    this.#rest[stream] = last.slice(whole);
    return [...lines, ...(whole > 0 ? [last.slice(0, whole)] : [])].flatMap((line) => printed(stream, line));
  }

  rest(): string[] {
    return streams.flatMap((stream) => {
      const line = this.#rest[stream] + this.#decoders[stream].end();
      this.#rest[stream] = '';
      return line === '' ? [] : printed(stream, line);
    });
  }
}

function printed(stream: (typeof streams)[number], line: string): string[] {
  const parts = line.replace(/\r$/, '').match(new RegExp(`.{1,${lineLengthMax}}`, 'gsu')) ?? [''];
  return parts.map((part) => `${margin}${stream === 'stderr' ? '2> ' : ''}${part}`);
}

function summary(kind: string, data: JsonObject, id: string): string {
  switch (kind) {
    case 'command':
      return `> ${isSaid(data.text) ? text(data.text) : `(${text(data.kind)})`}${id === '' ? '' : `  [${id}]`}`;
    case 'resize':
      return `  the terminal is now ${text(data.cols)}x${text(data.rows)}`;
    case 'transfer':
      return `= ${text(data.direction)} ${paths(data)} (${sizes(data)})${data.complete === false ? ', not complete' : ''}`;
    case 'forwarded':
      return `= forwarded to ${text(data.host)}:${text(data.port)} (${sizes(data)})`;
    default:
      return `< ${isSaid(data.signal) ? `signal ${text(data.signal)}` : `exit ${text(data.status)}`}${counts(data)}`;
  }
}

function details(kind: string, data: JsonObject): string[] {
  if (kind === 'command' && isObject(data.pty)) {
    const { cols, rows, term } = data.pty;
    return [`${margin}on a terminal: ${text(cols)}x${text(rows)} ${text(term)}`];
  }
  if (kind !== 'exit') return [];
  return list(data.unrecorded).map((part) =>
    isObject(part)
      ? `${margin}… ${text(part.bytes)} bytes of ${text(part.stream)} were not recorded, SHA-256 ${text(part.sha256)}`
      : '',
  );
}

function paths(data: JsonObject): string {
  return isSaid(data.path) ? text(data.path) : list(data.paths).map(text).join(' ');
}

function sizes({ bytes, bytes_up: up, bytes_down: down, sha256, upstream }: JsonObject): string {
  const said: [Json | undefined, string][] = [
    [bytes, `${text(bytes)} bytes`],
    [up, `${text(up)} bytes up`],
    [down, `${text(down)} bytes down`],
    [sha256, `SHA-256 ${text(sha256)}`],
    [upstream, `upstream ${text(upstream)}`],
  ];
  return said.flatMap(([value, words]) => (isSaid(value) ? [words] : [])).join(', ');
}

function counts({ bytes, masked }: JsonObject): string {
  const said = [
    typeof bytes === 'number' ? `${bytes} bytes` : '',
    typeof masked === 'number' && masked > 0 ? `${masked} masked` : '',
  ].filter((part) => part !== '');
  return said.length === 0 ? '' : ` (${said.join(', ')})`;
}
