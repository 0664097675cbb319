import { parseArgs } from 'node:util';
import type { Json, JsonObject } from '../core/types.ts';
import { type Frame, RecordingDamaged, readRecording } from '../record/index.ts';
import { type RecordedColumns, type RecordedRow, RowReader } from '../record/postgres-rows.ts';
import { type Command, UsageError } from './io.ts';
import { printable } from './printable.ts';

const help = `sallyport replay FILE [--json]

Prints a recording: statements with their parameters, the rows as the client saw them, what became of each.
--json prints a line of JSON for every frame instead. Exit code 1 when the recording is damaged.
`;

/** `sallyport replay`. */
export const run: Command = async (args, io) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    io.stdout.write(help);
    return 0;
  }
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new UsageError(`replay needs one FILE\n\n${help}`);
  const print = values.json ? jsonOf : timeline();
  try {
    for await (const frame of readRecording(file)) {
      for (const line of print(frame)) io.stdout.write(`${printable(line)}\n`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof RecordingDamaged)) throw error;
    io.stderr.write(`sallyport: ${file}: ${error.message}\n`);
    return 1;
  }
};

type Printer = (frame: Frame) => string[];

function jsonOf(frame: Frame): string[] {
  const { kind, timeMs, decisionId, data, truncatedFrom } = frame;
  const body = data instanceof Uint8Array ? { base64: Buffer.from(data).toString('base64') } : data;
  return [
    JSON.stringify({ time_ms: timeMs, kind, decision_id: decisionId, truncated_from_bytes: truncatedFrom, data: body }),
  ];
}

/** Operations of a session are answered in order, so what is known of the current one is enough. */
interface Operation {
  readonly rows: RowReader;
  columns: RecordedColumns | undefined;
}

function timeline(): Printer {
  const operations = new Map<string, Operation>();
  return (frame) => {
    const { data } = frame;
    if (data instanceof Uint8Array) return rows(frame, data, operationOf(operations, frame));
    if (frame.kind === 'header') return header(data);
    if (frame.kind === 'columns') operationOf(operations, frame).columns = columnsOf(data);
    const cutBytes = operations.get(frame.decisionId ?? '')?.rows.unfinishedBytes ?? 0;
    if (frame.kind === 'complete') operations.delete(frame.decisionId ?? '');
    const cut = frame.kind === 'complete' && cutBytes > 0 ? [`${margin}… (the rest was not recorded)`] : [];
    const long = frame.truncatedFrom === undefined ? [] : [`${margin}(${frame.truncatedFrom} bytes, too long to keep)`];
    return [...cut, `${stamp(frame.timeMs)}  ${summary(frame.kind, data)}`, ...details(frame.kind, data), ...long];
  };
}

function operationOf(operations: Map<string, Operation>, frame: Frame): Operation {
  const id = frame.decisionId ?? '';
  const known = operations.get(id) ?? { rows: new RowReader(), columns: undefined };
  operations.set(id, known);
  return known;
}

const margin = ' '.repeat(14);

function stamp(timeMs: number): string {
  return `${(timeMs / 1000).toFixed(3).padStart(11)}s`;
}

function header(data: JsonObject): string[] {
  const { session, protocol, upstream, started_at, subject, application, client_address } = data;
  const facts = { session, protocol, upstream, started_at, subject, application, client_address };
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(15)}${text(value)}`);
}

function summary(kind: string, data: JsonObject): string {
  switch (kind) {
    case 'statement':
      return `> ${text(data.text)}`;
    case 'columns':
      return `  ${list(data.names).map(text).join(' | ')}`;
    case 'complete':
      return `< ${[data.status, data.tag, data.sqlstate, data.code, data.message].filter(isSaid).map(text).join(' ')}${counts(data)}`;
    case 'refused':
      return `! refused: ${[data.code, data.policy, data.message].filter(isSaid).map(text).join(' — ')}`;
    case 'cut':
      return '… the recording ends here without its end: the gateway or its disk stopped';
    default:
      return `${kind} ${JSON.stringify(data)}`;
  }
}

function counts(data: JsonObject): string {
  const said = [
    typeof data.rows === 'number' ? `${data.rows} rows` : '',
    typeof data.masked_cells === 'number' && data.masked_cells > 0 ? `${data.masked_cells} cells masked` : '',
  ].filter((part) => part !== '');
  return said.length === 0 ? '' : ` (${said.join(', ')})`;
}

function details(kind: string, data: JsonObject): string[] {
  if (kind !== 'statement') return [];
  return list(data.parameters).map((parameter, index) => `${margin}$${index + 1} = ${parameterText(parameter)}`);
}

function parameterText(parameter: Json): string {
  if (!isObject(parameter)) return text(parameter);
  const { value, hash, hashed } = parameter;
  if (isSaid(hash)) return `${text(hash)} (hash)`;
  if (value === null || value === undefined) return 'NULL';
  return hashed === true ? `${text(value)} (hash)` : JSON.stringify(value);
}

function rows(frame: Frame, bytes: Uint8Array, operation: Operation): string[] {
  if (frame.kind !== 'rows') return [`${stamp(frame.timeMs)}  ${frame.kind}: ${bytes.length} bytes`];
  return [...operation.rows.push(bytes, operation.columns)].map((row) => `${margin}${rowText(row)}`);
}

function rowText(row: RecordedRow): string {
  if (row.kind === 'row') return row.values.map((value) => value ?? 'NULL').join(' | ');
  if (row.kind === 'copy') return row.text.replace(/\n$/, '');
  return `(${row.bytes} bytes that are neither rows nor COPY data)`;
}

function columnsOf(data: JsonObject): RecordedColumns {
  return {
    types: list(data.types).filter((type) => typeof type === 'number' || typeof type === 'string'),
    formats: list(data.formats).filter((format) => typeof format === 'number'),
  };
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function isSaid(value: Json | undefined): value is Json {
  return value !== undefined && value !== null && value !== '';
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
