import { constants } from 'node:os';
import { StringDecoder } from 'node:string_decoder';
import type { Json, JsonObject } from '../core/types.ts';
import { type Frame, RecordingDamaged } from './reader.ts';

/** What a recording shows on a terminal, as a film. */
export interface Cast {
  readonly header: CastHeader;
  /** @throws RecordingDamaged after the events before the damage */
  readonly events: AsyncGenerator<CastEvent>;
}

/** What stands in the first line of an asciicast, in the terms of neither version. */
export interface CastHeader {
  readonly cols: number;
  readonly rows: number;
  readonly terminal: string | undefined;
  /** Of the session's begin, in seconds since the epoch. */
  readonly timestamp: number | undefined;
  readonly title: string;
  /** Of the one operation, redacted as it was recorded. */
  readonly command: string | undefined;
}

/** Output, a new size, a marker, or an exit status. */
export interface CastEvent {
  readonly code: 'o' | 'r' | 'm' | 'x';
  /** Since the event before. */
  readonly afterMs: number;
  readonly data: string;
}

/** The recording has nothing that a terminal could show, or no operation with the id that was asked for. */
export class NothingToShow extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NothingToShow';
  }
}

/** Of a terminal nobody asked for: what a command without one is shown on. */
const defaultSize = { cols: 80, rows: 24 };

/**
 * Makes a film of the commands of a recording: one operation, or the whole session, one command after the other, also where
 * they ran at the same time. Before each stands a prompt that is the gateway's (`$` and the text that was judged, redacted);
 * what was refused, moved or left out of the recording is said in a line that begins with `[sallyport`. What a client without
 * a terminal saw as lines is shown as lines.
 *
 * Output is decoded as UTF-8, whatever pieces it was recorded in; bytes that are not become U+FFFD. Reads the recording
 * twice at least, in memory that does not grow with its output.
 *
 * @param read - begins to read the recording anew
 * @throws NothingToShow
 */
export async function readCast(read: () => AsyncIterable<Frame>, operation?: string): Promise<Cast> {
  const survey = await surveyed(read());
  const chosen = operation === undefined ? [...survey.operations.keys()] : [operation];
  const first = survey.operations.get(chosen[0] ?? '');
  if (!survey.visible) throw new NothingToShow('the recording has no commands');
  if (first === undefined) throw new NothingToShow('the recording has no such operation');
  const one = operation === undefined ? undefined : first;
  const terminal = [...chosen.map((id) => survey.operations.get(id)?.terminal)].find((found) => found !== undefined);
  const header: CastHeader = {
    ...(terminal?.size ?? defaultSize),
    terminal: terminal?.term,
    timestamp: secondsOf(survey.header.started_at),
    title: titleOf(survey.header),
    command: one?.text,
  };
  return { header, events: events(read, survey, chosen, header) };
}

/** The lines of an asciicast, without line feeds. Version 2 knows no exit status and counts time from the beginning. */
export async function* castLines({ header, events }: Cast, version: 2 | 3): AsyncGenerator<string> {
  const { cols, rows, terminal, timestamp, title, command } = header;
  const said = { ...(timestamp !== undefined && { timestamp }), title, ...(command !== undefined && { command }) };
  yield JSON.stringify(
    version === 3
      ? { version, term: { cols, rows, ...(terminal !== undefined && { type: terminal }) }, ...said }
      : { version, width: cols, height: rows, ...said, ...(terminal !== undefined && { env: { TERM: terminal } }) },
  );
  let elapsedMs = 0;
  for await (const { code, afterMs, data } of events) {
    elapsedMs += afterMs;
    if (version === 2 && code === 'x') continue;
    yield JSON.stringify([(version === 3 ? afterMs : elapsedMs) / 1000, code, data]);
  }
}

/** What is known of a recording after reading it once. */
interface Survey {
  header: JsonObject;
  readonly operations: Map<string, Surveyed>;
  /** Whether anything but refusals happened that a terminal can show. */
  visible: boolean;
  /** Whether frames of one operation stand between those of another. */
  interleaved: boolean;
  damage: RecordingDamaged | undefined;
}

interface Surveyed {
  readonly text: string;
  readonly terminal: { readonly size: Size; readonly term: string | undefined } | undefined;
}

interface Size {
  readonly cols: number;
  readonly rows: number;
}

const shown = new Set([
  'command',
  'stdout',
  'stderr',
  'resize',
  'exit',
  'refused',
  'transfer',
  'forwarded',
  'truncated',
]);

async function surveyed(frames: AsyncIterable<Frame>): Promise<Survey> {
  const survey: Survey = { header: {}, operations: new Map(), visible: false, interleaved: false, damage: undefined };
  let last: string | undefined;
  for await (const { kind, decisionId: id, data } of untilDamage(frames, (damage) => (survey.damage = damage))) {
    if (data instanceof Uint8Array) {
      if (!shown.has(kind)) continue;
    } else if (kind === 'header') survey.header = data;
    if (id === undefined || !shown.has(kind)) continue;
    const known = survey.operations.get(id);
    if (known === undefined) {
      const command = kind === 'command' && !(data instanceof Uint8Array) ? data : {};
      survey.operations.set(id, { text: textOf(command), terminal: terminalOf(command.pty) });
    } else if (last !== id) survey.interleaved = true;
    survey.visible ||= kind !== 'refused';
    last = id;
  }
  return survey;
}

async function* untilDamage(
  frames: AsyncIterable<Frame>,
  damaged: (damage: RecordingDamaged) => void,
): AsyncGenerator<Frame> {
  try {
    yield* frames;
  } catch (error) {
    if (!(error instanceof RecordingDamaged)) throw error;
    damaged(error);
  }
}

async function* events(
  read: () => AsyncIterable<Frame>,
  survey: Survey,
  chosen: readonly string[],
  size: Size,
): AsyncGenerator<CastEvent> {
  const film = new Film(size);
  const passes = survey.interleaved ? chosen.map((id) => new Set([id])) : [new Set(chosen)];
  for (const pass of passes) {
    for await (const frame of untilDamage(read(), () => {})) {
      if (shown.has(frame.kind) && pass.has(frame.decisionId ?? '')) yield* film.take(frame);
    }
    yield* film.rest();
  }
  yield* film.end();
  if (survey.damage !== undefined) throw survey.damage;
}

/** Turns the frames of one operation after the other into events. */
class Film {
  #size: Size;
  #lastMs: number | undefined;
  #timeMs = 0;
  #terminal = false;
  #decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  /** The last character of the output, to begin lines at their beginning. */
  #last = '\n';
  #exit: string | undefined;

  constructor(size: Size) {
    this.#size = { cols: size.cols, rows: size.rows };
  }

  *take(frame: Frame): Generator<CastEvent> {
    this.#timeMs = frame.timeMs;
    const { kind, data } = frame;
    if (data instanceof Uint8Array) {
      if (kind === 'stdout' || kind === 'stderr') yield* this.#output(this.#decoders[kind].write(Buffer.from(data)));
      return;
    }
    switch (kind) {
      case 'command':
        yield* this.#command(data);
        return;
      case 'resize':
        yield* this.#resize(sizeOf(data));
        return;
      case 'exit':
        yield* this.rest();
        this.#exit = statusOf(data);
        return;
      case 'refused':
        yield this.#event('m', `refused: ${said(data.code)}`);
        yield* this.#note(`refused: ${said(data.message)} (${[data.policy, data.code].filter(isText).join('/')})`);
        return;
      case 'transfer':
        yield* this.#note(`${said(data.direction)} ${said(data.path ?? data.paths)}, ${bytesOf(data)}`);
        return;
      case 'forwarded':
        yield* this.#note(`forwarded to ${said(data.host)}:${said(data.port)}, ${bytesOf(data)}`);
        return;
      default:
        yield* this.#note(`what follows of ${said(data.stream)} was not recorded`);
    }
  }

  /** What the decoders still hold. */
  *rest(): Generator<CastEvent> {
    for (const decoder of Object.values(this.#decoders)) yield* this.#output(decoder.end());
  }

  *end(): Generator<CastEvent> {
    if (this.#exit !== undefined) yield this.#event('x', this.#exit);
  }

  *#command(data: JsonObject): Generator<CastEvent> {
    yield* this.rest();
    const terminal = terminalOf(data.pty);
    yield* this.#resize(terminal?.size);
    this.#exit = undefined;
    this.#terminal = true;
    const lines = textOf(data).split('\n').map(visible);
    yield this.#event('m', (lines[0] ?? '').slice(0, markerLengthMax));
    yield* this.#output(`${this.#last === '\n' ? '' : '\r\n'}$ ${lines.join('\r\n> ')}\r\n`);
    this.#terminal = terminal !== undefined;
  }

  *#resize(size: Size | undefined): Generator<CastEvent> {
    if (size === undefined || (size.cols === this.#size.cols && size.rows === this.#size.rows)) return;
    this.#size = size;
    yield this.#event('r', `${size.cols}x${size.rows}`);
  }

  /** A line of the gateway's own. */
  *#note(text: string): Generator<CastEvent> {
    yield* this.#output(`${this.#last === '\n' ? '' : '\r\n'}[sallyport: ${visible(text)}]\r\n`);
  }

  *#output(text: string): Generator<CastEvent> {
    if (text === '') return;
    // A terminal's driver turned line feeds into CR LF already; without one, a line feed is the end of a line.
    const whole = this.#terminal
      ? text
      : `${this.#last}${text}`.replace(bareLineFeed, '\r\n').slice(this.#last === '\n' ? 2 : 1);
    this.#last = whole.at(-1) ?? this.#last;
    yield this.#event('o', whole);
  }

  #event(code: CastEvent['code'], data: string): CastEvent {
    const afterMs = Math.max(0, this.#timeMs - (this.#lastMs ?? this.#timeMs));
    this.#lastMs = this.#timeMs;
    return { code, afterMs, data };
  }
}

const bareLineFeed = /(?<!\r)\n/g;
const markerLengthMax = 200;

/** Text that was derived, not seen: nothing of it may move the cursor. */
function visible(text: string): string {
  return text.replace(
    /(?!\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function textOf(command: JsonObject): string {
  const { text, kind } = command;
  return isText(text) ? text : `(${isText(kind) ? kind : 'a command that was not recorded'})`;
}

function terminalOf(pty: Json | undefined): Surveyed['terminal'] {
  if (typeof pty !== 'object' || pty === null || Array.isArray(pty)) return undefined;
  const { term } = pty as JsonObject;
  return { size: sizeOf(pty as JsonObject) ?? defaultSize, term: isText(term) ? term : undefined };
}

/** A size that a player can show; clients without a window say 0. */
function sizeOf({ cols, rows }: JsonObject): Size | undefined {
  return isDimension(cols) && isDimension(rows) ? { cols, rows } : undefined;
}

function isDimension(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= dimensionMax;
}

const dimensionMax = 1_000;

/** An exit status as a shell gives it: 128 and the number of the signal that ended the command. */
function statusOf({ status, signal }: JsonObject): string | undefined {
  if (typeof status === 'number') return String(status);
  const number = isText(signal) ? new Map(Object.entries(constants.signals)).get(`SIG${signal}`) : undefined;
  return number === undefined ? undefined : String(128 + number);
}

function bytesOf({ bytes, bytes_up: up, bytes_down: down }: JsonObject): string {
  return typeof bytes === 'number' ? `${bytes} bytes` : `${said(up)} bytes up, ${said(down)} bytes down`;
}

function titleOf({ subject, upstream }: JsonObject): string {
  const id =
    typeof subject === 'object' && subject !== null && !Array.isArray(subject) ? (subject as JsonObject).id : '';
  return [id, upstream].filter(isText).join(' at ');
}

function secondsOf(startedAt: Json | undefined): number | undefined {
  const ms = isText(startedAt) ? Date.parse(startedAt) : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '';
}

function said(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
