import type { Json, JsonObject } from '../../core/types.ts';
import type { Frame } from '../../record/index.ts';
import { type RecordedColumns, type RecordedRow, RowReader } from '../../record/postgres-rows.ts';
import { isObject, isSaid, list, margin, type Printer, stamp, text } from './text.ts';

/** Operations of a session are answered in order, so what is known of the current one is enough. */
interface Operation {
  readonly rows: RowReader;
  columns: RecordedColumns | undefined;
}

/** Statements with their parameters, the rows as the client saw them, what became of each. Knows nothing of other kinds. */
export function postgresPrinter(): Printer {
  const operations = new Map<string, Operation>();
  return (frame) => {
    const { data } = frame;
    if (data instanceof Uint8Array) return rows(data, operationOf(operations, frame));
    if (frame.kind === 'columns') operationOf(operations, frame).columns = columnsOf(data);
    const cutBytes = operations.get(frame.decisionId ?? '')?.rows.unfinishedBytes ?? 0;
    if (frame.kind === 'complete') operations.delete(frame.decisionId ?? '');
    const cut = frame.kind === 'complete' && cutBytes > 0 ? [`${margin}… (the rest was not recorded)`] : [];
    return [...cut, `${stamp(frame.timeMs)}  ${summary(frame.kind, data)}`, ...details(frame.kind, data)];
  };
}

function operationOf(operations: Map<string, Operation>, frame: Frame): Operation {
  const id = frame.decisionId ?? '';
  const known = operations.get(id) ?? { rows: new RowReader(), columns: undefined };
  operations.set(id, known);
  return known;
}

function summary(kind: string, data: JsonObject): string {
  switch (kind) {
    case 'statement':
      return `> ${text(data.text)}`;
    case 'columns':
      return `  ${list(data.names).map(text).join(' | ')}`;
    default:
      return `< ${[data.status, data.tag, data.sqlstate, data.code, data.message].filter(isSaid).map(text).join(' ')}${counts(data)}`;
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

function rows(bytes: Uint8Array, operation: Operation): string[] {
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
