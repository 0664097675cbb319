import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  type CastEvent,
  castLines,
  type Frame,
  NothingToShow,
  RecordingDamaged,
  RecordingLocked,
  readCast,
  readRecording,
} from '../record/index.ts';
import { type Command, type Io, UsageError } from './io.ts';
import { printable } from './printable.ts';
import { archiveOptions, fileOf, list, listOptions, openArchive } from './replay/archive.ts';
import { play } from './replay/play.ts';
import type { Printer } from './replay/text.ts';
import { timeline } from './replay/timeline.ts';

const help = `sallyport replay FILE|SESSION [--json]
sallyport replay FILE --asciicast [--version 2|3] [--operation ID]
sallyport replay FILE --play [--speed N] [--idle-limit SECONDS] [--operation ID]
sallyport replay --list [--subject ID] [--upstream NAME] [--protocol NAME] [--resource NAME] [--label LABEL]
                 [--outcome OUTCOME] [--code CODE] [--since TIME] [--until TIME] [--limit N] [--json]

With --config FILE sessions are found by their id, and encrypted recordings opened; --directory DIR and --key REF (each key that
was in use; env:NAME or file:PATH) say the same without a configuration. --list needs one of the two.

Prints a recording: statements or commands, what the client saw of each, what became of it. Control characters are escaped.
--json prints a line of JSON for every frame instead.
--asciicast writes what a terminal would have shown as an asciicast (3 by default) for asciinema and its web player: one
operation, or all, one after the other, each behind a prompt line that the gateway adds. Escape sequences are in it as they
were recorded; play it only with a player that you trust with them.
--play shows it in this terminal, with its pauses. Of the recorded escape sequences only those that draw are let through: no
titles, no clipboard, no queries.
--list prints what the index knows, the newest first: a resource is a relation, command, route or tool; an outcome is ok, error,
aborted, open, or cut where a crash ended the recording. TIME is RFC 3339, or an age such as 90s, 15m, 12h or 7d.
Exit code 1 when the recording is damaged, or encrypted with a key that was not given.
`;

/** `sallyport replay`. */
export const run: Command = async (args, io) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      asciicast: { type: 'boolean', default: false },
      version: { type: 'string' },
      operation: { type: 'string' },
      play: { type: 'boolean', default: false },
      speed: { type: 'string' },
      'idle-limit': { type: 'string' },
      ...archiveOptions,
      ...listOptions,
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    io.stdout.write(help);
    return 0;
  }
  const archive = await openArchive(values);
  if (values.list) {
    if (positionals.length > 0) throw new UsageError(`--list takes no FILE\n\n${help}`);
    list(archive, values, io);
    return 0;
  }
  const [named] = positionals;
  if (named === undefined || positionals.length > 1) throw new UsageError(`replay needs one FILE\n\n${help}`);
  const fault = misuse(values);
  if (fault !== undefined) throw new UsageError(`${fault}\n\n${help}`);
  const file = fileOf(named, archive);
  const read = () => readRecording(file, archive.keys);
  try {
    if (values.play) return await show(read, values, io);
    if (values.asciicast) await write(read, values, io);
    else await print(read, values.json ? jsonOf : timeline(), io);
    return 0;
  } catch (error) {
    if (!(error instanceof RecordingDamaged || error instanceof RecordingLocked || error instanceof NothingToShow))
      throw error;
    io.stderr.write(`sallyport: ${file}: ${error.message}\n`);
    return 1;
  }
};

/** Begins to read the recording anew. */
type Read = () => AsyncIterable<Frame>;

interface Options {
  readonly json: boolean;
  readonly asciicast: boolean;
  readonly play: boolean;
  readonly version?: string | undefined;
  readonly operation?: string | undefined;
  readonly speed?: string | undefined;
  readonly 'idle-limit'?: string | undefined;
}

function misuse(options: Options): string | undefined {
  const { json, asciicast, play, version, operation, speed } = options;
  const idleLimit = options['idle-limit'];
  if ([json, asciicast, play].filter(Boolean).length > 1) return '--json, --asciicast and --play exclude each other';
  if (version !== undefined && !asciicast) return '--version belongs to --asciicast';
  if (version !== undefined && version !== '2' && version !== '3') return '--version is 2 or 3';
  if (operation !== undefined && !asciicast && !play) return '--operation belongs to --asciicast and --play';
  if ((speed !== undefined || idleLimit !== undefined) && !play) return '--speed and --idle-limit belong to --play';
  for (const number of [speed, idleLimit]) {
    if (number !== undefined && !(Number(number) > 0 && Number.isFinite(Number(number))))
      return 'a number over 0 is needed';
  }
  return undefined;
}

async function print(read: Read, printer: Printer, io: Io): Promise<void> {
  for await (const frame of read()) {
    for (const line of printer(frame)) io.stdout.write(`${printable(line)}\n`);
  }
}

async function write(read: Read, { version, operation }: Options, io: Io): Promise<void> {
  const cast = await readCast(read, operation);
  for await (const line of castLines(cast, version === '2' ? 2 : 3)) io.stdout.write(`${line}\n`);
}

/** Ctrl-C ends the show, and leaves the terminal in order. */
async function show(read: Read, options: Options, io: Io): Promise<number> {
  if (io.stdout.isTTY !== true) throw new UsageError('--play needs a terminal; --asciicast writes to a file');
  const cast = await readCast(read, options.operation);
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt);
  try {
    await play(untilInterrupted(cast.events, interrupted.signal), {
      write: (text) => io.stdout.write(text),
      wait: (ms) => sleep(ms, undefined, { signal: interrupted.signal }),
      speed: Number(options.speed ?? 1),
      idleLimitMs: 1000 * Number(options['idle-limit'] ?? Number.POSITIVE_INFINITY),
    });
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) return 130;
    throw error;
  } finally {
    process.removeListener('SIGINT', interrupt);
  }
}

async function* untilInterrupted(events: AsyncIterable<CastEvent>, signal: AbortSignal): AsyncGenerator<CastEvent> {
  for await (const event of events) {
    signal.throwIfAborted();
    yield event;
  }
}

function jsonOf(frame: Frame): string[] {
  const { kind, timeMs, decisionId, data, truncatedFrom } = frame;
  const body = data instanceof Uint8Array ? { base64: Buffer.from(data).toString('base64') } : data;
  return [
    JSON.stringify({ time_ms: timeMs, kind, decision_id: decisionId, truncated_from_bytes: truncatedFrom, data: body }),
  ];
}
