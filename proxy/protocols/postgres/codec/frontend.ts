/**
 * What a client sends after its startup packet: a parser of the body and a serialiser of the whole message for each.
 * Parsers answer `undefined` for a body that is malformed: too short, too long, a bad count or length, a missing NUL.
 * Buffers in what they return are views of the body.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
import { cstring, int16, int32, list, message, nullable } from './bytes.ts';
import { Cursor } from './cursor.ts';
import { frontend } from './message-types.ts';

/** 0 text, 1 binary. */
export type Format = 0 | 1;

/** Query: one string of SQL statements, as bytes without the NUL. Not checked to be UTF-8. */
export interface Query {
  readonly sql: Buffer;
}

/** Parse: a prepared statement to be made. */
export interface Parse {
  /** Empty for the unnamed statement. */
  readonly statement: string;
  readonly sql: Buffer;
  /** Type OIDs of the parameters, 0 where the server is to infer; may be fewer than there are. */
  readonly parameterTypes: readonly number[];
}

/** Bind: a portal to be made of a prepared statement. */
export interface Bind {
  readonly portal: string;
  readonly statement: string;
  /** None (all text), one for all, or one for each parameter. */
  readonly parameterFormats: readonly Format[];
  readonly parameterCount: number;
  /** The bytes of a parameter from 0, or null. @throws RangeError for an index that does not exist. */
  parameter(index: number): Buffer | null;
  /** None (all text), one for all, or one for each result column. */
  readonly resultFormats: readonly Format[];
}

/** Describe and Close name either a prepared statement (`S`) or a portal (`P`). */
export interface Target {
  readonly kind: 'S' | 'P';
  readonly name: string;
}

/** Execute: a portal to be run. */
export interface Execute {
  readonly portal: string;
  /** 0: no bound. The server takes a negative number as 0 too. */
  readonly maxRows: number;
}

/** FunctionCall: a function to be called by its OID, without SQL. */
export interface FunctionCall {
  readonly functionOid: number;
  readonly argumentFormats: readonly Format[];
  readonly arguments: readonly (Buffer | null)[];
  readonly resultFormat: Format;
}

/** Query. */
export function parseQuery(body: Buffer): Query | undefined {
  const cursor = new Cursor(body);
  const sql = cursor.cstring();
  return cursor.done ? { sql } : undefined;
}

/** Parse. */
export function parseParse(body: Buffer): Parse | undefined {
  const cursor = new Cursor(body);
  const statement = cursor.name();
  const sql = cursor.cstring();
  const count = cursor.uint16();
  if (count * 4 !== cursor.remaining) return undefined;
  const parameterTypes: number[] = [];
  for (let index = 0; index < count; index++) parameterTypes.push(cursor.uint32());
  return cursor.done ? { statement, sql, parameterTypes } : undefined;
}

/** Bind. The values are found, not copied. */
export function parseBind(body: Buffer): Bind | undefined {
  const cursor = new Cursor(body);
  const portal = cursor.name();
  const statement = cursor.name();
  const parameterFormats = formats(cursor);
  const count = cursor.uint16();
  // Each value has at least its length, so the count cannot make us reserve more than the body holds.
  if (count * 4 > cursor.remaining) return undefined;
  if (parameterFormats.length > 1 && parameterFormats.length !== count) return undefined;
  const ranges: number[] = [];
  for (let index = 0; index < count && cursor.ok; index++) {
    const length = cursor.int32();
    ranges.push(cursor.position, length);
    if (length !== -1) cursor.bytes(length);
  }
  const resultFormats = formats(cursor);
  if (!cursor.done) return undefined;
  const parameter = (index: number): Buffer | null => {
    const from = ranges[index * 2];
    const length = ranges[index * 2 + 1];
    if (from === undefined || length === undefined) throw new RangeError(`there is no parameter ${index}`);
    return length === -1 ? null : body.subarray(from, from + length);
  };
  return { portal, statement, parameterFormats, parameterCount: count, parameter, resultFormats };
}

/** Describe and Close. */
export function parseTarget(body: Buffer): Target | undefined {
  const cursor = new Cursor(body);
  const kind = cursor.uint8();
  const name = cursor.name();
  if (!cursor.done || (kind !== 0x53 && kind !== 0x50)) return undefined;
  return { kind: kind === 0x53 ? 'S' : 'P', name };
}

/** Execute. */
export function parseExecute(body: Buffer): Execute | undefined {
  const cursor = new Cursor(body);
  const portal = cursor.name();
  const maxRows = cursor.int32();
  return cursor.done ? { portal, maxRows: Math.max(0, maxRows) } : undefined;
}

/** FunctionCall. */
export function parseFunctionCall(body: Buffer): FunctionCall | undefined {
  const cursor = new Cursor(body);
  const functionOid = cursor.uint32();
  const argumentFormats = formats(cursor);
  const count = cursor.uint16();
  if (count * 4 > cursor.remaining) return undefined;
  if (argumentFormats.length > 1 && argumentFormats.length !== count) return undefined;
  const values: (Buffer | null)[] = [];
  for (let index = 0; index < count && cursor.ok; index++) {
    const length = cursor.int32();
    values.push(length === -1 ? null : cursor.bytes(length));
  }
  const resultFormat = format(cursor);
  return cursor.done ? { functionOid, argumentFormats, arguments: values, resultFormat } : undefined;
}

/** CopyFail: why the client gives up. */
export function parseCopyFail(body: Buffer): { readonly reason: string } | undefined {
  const cursor = new Cursor(body);
  const reason = cursor.text();
  return cursor.done ? { reason } : undefined;
}

/** PasswordMessage. The secret must never be logged. */
export function parsePassword(body: Buffer): { readonly password: string } | undefined {
  const cursor = new Cursor(body);
  const password = cursor.text();
  return cursor.done ? { password } : undefined;
}

/** SASLInitialResponse: `response` is null when the client sent none. */
export function parseSaslInitialResponse(
  body: Buffer,
): { readonly mechanism: string; readonly response: Buffer | null } | undefined {
  const cursor = new Cursor(body);
  const mechanism = cursor.text();
  const length = cursor.int32();
  const response = length === -1 ? null : cursor.bytes(length);
  return cursor.done ? { mechanism, response } : undefined;
}

/** Sync, Flush, CopyDone and Terminate carry nothing: true when that is so. */
export function isEmptyBody(body: Buffer): boolean {
  return body.length === 0;
}

/** Query. @throws RangeError for a NUL in the text */
export const query = (sql: string | Uint8Array): Buffer => message(frontend.query, cstring(sql));

/** Parse. */
export const parse = (statement: string, sql: string | Uint8Array, parameterTypes: readonly number[] = []): Buffer =>
  message(frontend.parse, cstring(statement), cstring(sql), list(parameterTypes.map(int32)));

/** Bind. */
export const bind = (
  portal: string,
  statement: string,
  parameters: readonly (Uint8Array | null)[] = [],
  formats: { readonly parameters?: readonly Format[]; readonly results?: readonly Format[] } = {},
): Buffer =>
  message(
    frontend.bind,
    cstring(portal),
    cstring(statement),
    list((formats.parameters ?? []).map(int16)),
    list(parameters.map(nullable)),
    list((formats.results ?? []).map(int16)),
  );

/** Describe. */
export const describe = (kind: Target['kind'], name: string): Buffer =>
  message(frontend.describe, Buffer.from(kind, 'latin1'), cstring(name));

/** Close. */
export const close = (kind: Target['kind'], name: string): Buffer =>
  message(frontend.close, Buffer.from(kind, 'latin1'), cstring(name));

/** Execute. */
export const execute = (portal: string, maxRows = 0): Buffer =>
  message(frontend.execute, cstring(portal), int32(maxRows));

/** FunctionCall. */
export const functionCall = (call: FunctionCall): Buffer =>
  message(
    frontend.functionCall,
    int32(call.functionOid),
    list(call.argumentFormats.map(int16)),
    list(call.arguments.map(nullable)),
    int16(call.resultFormat),
  );

/** Sync. */
export const sync = (): Buffer => message(frontend.sync);
/** Flush. */
export const flush = (): Buffer => message(frontend.flush);
/** Terminate. */
export const terminate = (): Buffer => message(frontend.terminate);
/** CopyFail. */
export const copyFail = (reason: string): Buffer => message(frontend.copyFail, cstring(reason));
/** PasswordMessage. */
export const password = (secret: string): Buffer => message(frontend.password, cstring(secret));
/** SASLInitialResponse. */
export const saslInitialResponse = (mechanism: string, response: Uint8Array | null): Buffer =>
  message(frontend.password, cstring(mechanism), nullable(response));
/** SASLResponse. */
export const saslResponse = (response: Uint8Array): Buffer => message(frontend.password, response);

function formats(cursor: Cursor): Format[] {
  const count = cursor.uint16();
  if (count * 2 > cursor.remaining) {
    cursor.fail();
    return [];
  }
  const codes: Format[] = [];
  for (let index = 0; index < count; index++) codes.push(format(cursor));
  return codes;
}

function format(cursor: Cursor): Format {
  const code = cursor.int16();
  if (code !== 0 && code !== 1) cursor.fail();
  return code === 1 ? 1 : 0;
}
