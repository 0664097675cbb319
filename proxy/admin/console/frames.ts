/** From frames, one after the other, to a timeline of what was done and what came of it. Pure. */
import { shown, words } from './operation.ts';
import { type Row, Rows } from './rows.ts';
import type { Frame, Json, JsonObject } from './types.ts';

/** One thing that happened: an operation with what its client saw, or a note. */
export interface Entry {
  readonly id: string;
  readonly timeMs: number;
  readonly kind: 'operation' | 'note';
  /** What was asked, or the note itself. */
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Rows that came and are not shown. */
  readonly hiddenRows: number;
  /** What a terminal or a body showed, without control sequences. */
  readonly output: string;
  readonly outcome: string;
  readonly bad: boolean;
}

const rowsShownMax = 200;
const outputShownMax = 64 * 1024;
const entriesMax = 2_000;
const openMax = 256;

interface Open {
  entry: Entry;
  readonly rows: Rows;
  readonly decoder: InstanceType<typeof TextDecoder>;
}

/** Builds a timeline; `entries` is a new list after each push. Bounded: the oldest go. */
export class Timeline {
  entries: readonly Entry[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #open = new Map<string, Open>();
  #count = 0;

  push(frames: readonly Frame[]): void {
    for (const frame of frames) {
      const entry = this.#take(frame);
      if (entry !== undefined) this.#entries.set(entry.id, entry);
      forgetOldest(this.#entries, entriesMax);
      forgetOldest(this.#open, openMax);
    }
    this.entries = [...this.#entries.values()];
  }

  #take(frame: Frame): Entry | undefined {
    const { kind, data, base64, decision_id: id = '' } = frame;
    if (kind === 'header' || kind === 'end') return undefined;
    if (base64 && typeof data === 'string')
      return this.#update(frame, (open) => bytesInto(open, kind, fromBase64(data)));
    const facts = isObject(data) ? data : {};
    switch (kind) {
      case 'statement':
      case 'command':
      case 'request':
      case 'message':
        return this.#update(frame, ({ entry }) => ({ ...entry, title: titleOf(kind, facts) || entry.title }));
      case 'columns':
        return this.#update(frame, ({ entry }) => ({ ...entry, columns: list(facts.names).map(words) }));
      case 'response':
        return this.#update(frame, ({ entry }) => ({
          ...entry,
          outcome: `Status ${words(facts.status)}`,
          bad: Number(facts.status) >= 400,
        }));
      case 'complete':
      case 'exit': {
        const entry = this.#update(frame, (open) => ({ ...open.entry, ...ended(kind, facts) }));
        this.#open.delete(id);
        return entry;
      }
      case 'refused': {
        const outcome = `Refused: ${words(facts.message)}`;
        const entry = this.#update(frame, (open) => ({ ...open.entry, outcome, bad: true }));
        this.#open.delete(id);
        return entry;
      }
      default:
        return this.#note(frame, note(kind, facts));
    }
  }

  /** Changes the operation that a frame belongs to, which begins with its first frame. */
  #update(frame: Frame, change: (open: Open) => Entry): Entry {
    const { decision_id: id = '', time_ms: timeMs } = frame;
    let open = this.#open.get(id);
    if (open === undefined) {
      open = { entry: this.#entry(timeMs, 'operation', ''), rows: new Rows(), decoder: new TextDecoder() };
      this.#open.set(id, open);
    }
    open.entry = change(open);
    return open.entry;
  }

  #note(frame: Frame, title: string): Entry {
    return this.#entry(frame.time_ms, 'note', title);
  }

  #entry(timeMs: number, kind: Entry['kind'], title: string): Entry {
    this.#count += 1;
    const empty = { columns: [], rows: [], hiddenRows: 0, output: '', outcome: '', bad: false };
    return { id: String(this.#count), timeMs, kind, title, ...empty };
  }
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size > max) map.delete(oldest);
}

function bytesInto({ entry, rows, decoder }: Open, kind: string, bytes: Uint8Array): Entry {
  if (kind !== 'rows') {
    const output = entry.output + withoutControls(decoder.decode(bytes, { stream: true }));
    return { ...entry, output: output.slice(-outputShownMax) };
  }
  const fresh = rows.push(bytes);
  const shownRows = [...entry.rows, ...fresh];
  const hidden = Math.max(0, shownRows.length - rowsShownMax);
  return { ...entry, rows: shownRows.slice(0, rowsShownMax), hiddenRows: entry.hiddenRows + hidden };
}

function titleOf(kind: string, data: JsonObject): string {
  if (kind === 'message') return words(data.method);
  const text = shown(kind === 'statement' ? 'postgres' : 'ssh', words(data.kind), { id: '' }, data).text.trim();
  const parameters =
    kind === 'statement' ? list(data.parameters).map((one, at) => `$${at + 1} = ${words(one) || 'NULL'}`) : [];
  return [text, ...parameters].join('\n');
}

function ended(kind: string, data: JsonObject): Pick<Entry, 'outcome' | 'bad'> {
  if (kind === 'exit') {
    const bad = data.status !== 0;
    return { outcome: data.signal ? `Ended by ${words(data.signal)}` : `Exit status ${words(data.status)}`, bad };
  }
  const bad = data.status !== 'ok';
  const masked =
    typeof data.masked_cells === 'number' && data.masked_cells > 0 ? `${data.masked_cells} values masked` : '';
  const said = [words(data.tag), words(data.sqlstate), masked].filter((one) => one !== '').join(', ');
  return { outcome: bad ? `Failed${said === '' ? '' : `: ${said}`}` : said || 'Done', bad };
}

function note(kind: string, data: JsonObject): string {
  switch (kind) {
    case 'cut':
      return 'The recording stops here: the gateway or its disk stopped.';
    case 'locked':
      return `The rest cannot be read: ${words(data.message)}.`;
    case 'damaged':
      return `The recording is damaged from here on: ${words(data.message)}.`;
    case 'lost':
      return `${words(data.events)} frames were left out here, because this page could not keep up.`;
    case 'resize':
      return `The terminal is now ${words(data.cols)} × ${words(data.rows)}.`;
    case 'transfer':
      return `Transferred ${words(data.path ?? data.paths)} (${words(data.direction)}, ${words(data.bytes)} bytes).`;
    case 'forwarded':
      return `Forwarded to ${words(data.host)}:${words(data.port)}.`;
    case 'truncated':
      return 'What follows of this was not recorded.';
    case 'withheld':
      return `Not shown to the agent: ${words(data.name)}. ${words(data.message)}`;
    default:
      return `${kind} ${JSON.stringify(data)}`;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what is looked for.
const sequences = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what is left of them, too.
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Text without what moves a cursor or colours it. A sequence that is cut between two pieces leaves its letters behind. */
export function withoutControls(text: string): string {
  return text.replace(sequences, '').replace(controls, '');
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
