/**
 * PostgreSQL frontend messages as bytes, and backend messages as values, for tests. Written from the protocol's
 * documentation, independently of the gateway's own codec. Uses no test framework.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */

/** One backend message: its type letter and its body, without the length. */
export interface BackendMessage {
  readonly type: string;
  readonly body: Buffer;
}

/** A parameter or result value as text, as bytes, or NULL. */
export type WireValue = string | Uint8Array | null;

export interface BindOptions {
  readonly portal?: string;
  readonly statement?: string;
  readonly values?: readonly WireValue[];
  /** Formats of the values: none (all text), one for all, or one each. */
  readonly formats?: readonly number[];
  readonly resultFormats?: readonly number[];
}

/** A message of any type, also of one that does not exist. */
export function message(type: string, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(body.length + 4), body]);
}

export const frontend = {
  sslRequest: () => Buffer.concat([int32(8), int32(80877103)]),
  gssEncryptionRequest: () => Buffer.concat([int32(8), int32(80877104)]),
  /** `secret` is what BackendKeyData carried, four bytes in protocol 3.0. */
  cancelRequest: (processId: number, secret: Uint8Array) =>
    Buffer.concat([int32(12 + secret.length), int32(80877102), int32(processId), secret]),
  startup: (parameters: Readonly<Record<string, string>>, version = 3 << 16) => {
    const pairs = Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)]);
    const body = Buffer.concat([int32(version), ...pairs, Buffer.alloc(1)]);
    return Buffer.concat([int32(body.length + 4), body]);
  },
  password: (password: string) => message('p', text(password)),
  query: (sql: string) => message('Q', text(sql)),
  parse: (sql: string, statement = '', types: readonly number[] = []) =>
    message('P', text(statement), text(sql), int16(types.length), ...types.map(int32)),
  bind: ({ portal = '', statement = '', values = [], formats = [], resultFormats = [] }: BindOptions = {}) =>
    message(
      'B',
      text(portal),
      text(statement),
      int16(formats.length),
      ...formats.map(int16),
      int16(values.length),
      ...values.map(sized),
      int16(resultFormats.length),
      ...resultFormats.map(int16),
    ),
  describeStatement: (name = '') => message('D', Buffer.from('S'), text(name)),
  describePortal: (name = '') => message('D', Buffer.from('P'), text(name)),
  execute: (portal = '', rowsMax = 0) => message('E', text(portal), int32(rowsMax)),
  closeStatement: (name = '') => message('C', Buffer.from('S'), text(name)),
  closePortal: (name = '') => message('C', Buffer.from('P'), text(name)),
  sync: () => message('S'),
  flush: () => message('H'),
  functionCall: (oid: number, values: readonly WireValue[], resultFormat = 0) =>
    message('F', int32(oid), int16(0), int16(values.length), ...values.map(sized), int16(resultFormat)),
  copyData: (data: string | Uint8Array) => message('d', Buffer.from(data)),
  copyDone: () => message('c'),
  copyFail: (reason: string) => message('f', text(reason)),
  terminate: () => message('X'),
};

/** The fields of an ErrorResponse or NoticeResponse by their letter: `S V C M D H P p q W s t c d n F L R`. */
export function errorFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at);
    if (end < 0) throw new Error('an error field has no end');
    fields[body.toString('latin1', at, at + 1)] = body.toString('utf8', at + 1, end);
    at = end + 1;
  }
  return fields;
}

/** The cells of a DataRow. */
export function dataRowCells(body: Buffer): (Buffer | null)[] {
  const cells: (Buffer | null)[] = [];
  let at = 2;
  for (let count = body.readUInt16BE(0); count > 0; count--) {
    const size = body.readInt32BE(at);
    cells.push(size < 0 ? null : body.subarray(at + 4, at + 4 + size));
    at += 4 + Math.max(size, 0);
  }
  if (at !== body.length) throw new Error('a DataRow is not as long as its cells');
  return cells;
}

export interface WireColumn {
  readonly name: string;
  readonly tableOid: number;
  readonly attribute: number;
  readonly typeOid: number;
  readonly format: number;
}

/** The columns of a RowDescription. */
export function rowDescriptionColumns(body: Buffer): WireColumn[] {
  const columns: WireColumn[] = [];
  let at = 2;
  for (let count = body.readUInt16BE(0); count > 0; count--) {
    const end = body.indexOf(0, at);
    columns.push({
      name: body.toString('utf8', at, end),
      tableOid: body.readUInt32BE(end + 1),
      attribute: body.readInt16BE(end + 5),
      typeOid: body.readUInt32BE(end + 7),
      format: body.readInt16BE(end + 17),
    });
    at = end + 19;
  }
  return columns;
}

/** The message types in order, as one string: `TDDCZ`. ParameterStatus, which may come anywhere, is left out. */
export function typesOf(messages: readonly BackendMessage[]): string {
  return messages
    .map(({ type }) => type)
    .filter((type) => type !== 'S')
    .join('');
}

/** The rows of all DataRows, as text (or the bytes as latin1 for `encoding`). */
export function rowsOf(messages: readonly BackendMessage[], encoding: 'utf8' | 'hex' = 'utf8'): (string | null)[][] {
  return messages
    .filter(({ type }) => type === 'D')
    .map(({ body }) => dataRowCells(body).map((cell) => cell?.toString(encoding) ?? null));
}

/** The fields of every ErrorResponse. */
export function errorsOf(messages: readonly BackendMessage[]): Record<string, string>[] {
  return messages.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body));
}

/** The command tags: `SELECT 2`, `BEGIN`, … */
export function tagsOf(messages: readonly BackendMessage[]): string[] {
  return messages.filter(({ type }) => type === 'C').map(({ body }) => body.toString('utf8', 0, body.length - 1));
}

/** All CopyData, joined. */
export function copyDataOf(messages: readonly BackendMessage[]): Buffer {
  return Buffer.concat(messages.filter(({ type }) => type === 'd').map(({ body }) => body));
}

/** The transaction status of the last ReadyForQuery: `I` idle, `T` in a transaction, `E` in a failed one. */
export function statusOf(messages: readonly BackendMessage[]): string | undefined {
  return messages.findLast(({ type }) => type === 'Z')?.body.toString('latin1');
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function sized(value: WireValue): Buffer {
  if (value === null) return int32(-1);
  const bytes = Buffer.from(value);
  return Buffer.concat([int32(bytes.length), bytes]);
}
