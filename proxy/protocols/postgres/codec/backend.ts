/**
 * What a server sends: a parser of the body and a serialiser of the whole message for each. Parsers answer `undefined`
 * for a malformed body; buffers in what they return are views of it. DataRow has a file of its own.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
import { isUtf8 } from 'node:buffer';
import { cstring, int16, int32, list, message, nullable, uint8 } from './bytes.ts';
import { Cursor } from './cursor.ts';
import type { Format } from './frontend.ts';
import { backend } from './message-types.ts';

/** One column of a RowDescription. */
export interface FieldDescription {
  readonly name: string;
  /** 0 when the column is not a column of a relation as it is. */
  readonly tableOid: number;
  /** 0 for none, and for a whole row. */
  readonly attributeNumber: number;
  readonly typeOid: number;
  /** Negative for variable width. */
  readonly typeBytes: number;
  readonly typeModifier: number;
  readonly format: Format;
}

/** The fields of an ErrorResponse or NoticeResponse by their one-letter code (`S`, `C`, `M`, `D`, `H`, …), in order. */
export type ErrorFields = ReadonlyMap<string, string>;

/** The body of CopyInResponse, CopyOutResponse and CopyBothResponse. */
export interface CopyResponse {
  readonly format: Format;
  readonly columnFormats: readonly Format[];
}

/** `I` idle, `T` in a transaction, `E` in a failed one. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** Authentication requests by their code. `data` is what follows it. */
export interface Authentication {
  readonly code: number;
  readonly data: Buffer;
}

/** Codes of {@link Authentication} that the gateway can meet. */
export const authenticationCodes = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

/** RowDescription: the columns of the rows to come. */
export function parseRowDescription(body: Buffer): readonly FieldDescription[] | undefined {
  const cursor = new Cursor(body);
  const count = cursor.uint16();
  const fields: FieldDescription[] = [];
  for (let index = 0; index < count && cursor.ok; index++) {
    const name = cursor.text();
    const tableOid = cursor.uint32();
    const attributeNumber = cursor.int16();
    const typeOid = cursor.uint32();
    const typeBytes = cursor.int16();
    const typeModifier = cursor.int32();
    fields.push({
      name,
      tableOid,
      attributeNumber,
      typeOid,
      typeBytes,
      typeModifier,
      format: format(cursor.int16(), cursor),
    });
  }
  return cursor.done ? fields : undefined;
}

/** ErrorResponse and NoticeResponse. A field that comes twice keeps its last value. */
export function parseErrorFields(body: Buffer): ErrorFields | undefined {
  const cursor = new Cursor(body);
  const fields = new Map<string, string>();
  for (let code = cursor.uint8(); code !== 0 && cursor.ok; code = cursor.uint8()) {
    // Before the encoding is agreed a server speaks its own: what is not UTF-8 is kept byte for byte.
    fields.set(String.fromCharCode(code), decode(cursor.cstring()));
  }
  return cursor.done ? fields : undefined;
}

/** CommandComplete: the tag, such as `INSERT 0 1`. */
export function parseCommandComplete(body: Buffer): { readonly tag: string } | undefined {
  const cursor = new Cursor(body);
  const tag = cursor.text();
  return cursor.done ? { tag } : undefined;
}

/** ParameterStatus: a setting and its value now. */
export function parseParameterStatus(body: Buffer): { readonly name: string; readonly value: string } | undefined {
  const cursor = new Cursor(body);
  const name = decode(cursor.cstring());
  const value = decode(cursor.cstring());
  return cursor.done ? { name, value } : undefined;
}

/** The secret is 4 bytes in protocol 3.0 and up to 256 from 3.2 on. */
export function parseBackendKeyData(body: Buffer): { readonly pid: number; readonly secret: Buffer } | undefined {
  const cursor = new Cursor(body);
  const pid = cursor.int32();
  const secret = cursor.rest();
  return cursor.done && secret.length >= 4 && secret.length <= 256 ? { pid, secret } : undefined;
}

/** ReadyForQuery. Another status than the three is malformed. */
export function parseReadyForQuery(body: Buffer): { readonly status: TransactionStatus } | undefined {
  if (body.length !== 1) return undefined;
  const status = String.fromCharCode(body[0] ?? 0);
  return status === 'I' || status === 'T' || status === 'E' ? { status } : undefined;
}

/** CopyInResponse, CopyOutResponse, CopyBothResponse. */
export function parseCopyResponse(body: Buffer): CopyResponse | undefined {
  const cursor = new Cursor(body);
  const overall = format(cursor.uint8(), cursor);
  const count = cursor.uint16();
  if (count * 2 !== cursor.remaining) return undefined;
  const columnFormats: Format[] = [];
  for (let index = 0; index < count; index++) columnFormats.push(format(cursor.int16(), cursor));
  return cursor.done ? { format: overall, columnFormats } : undefined;
}

/** ParameterDescription: a type OID for each parameter. */
export function parseParameterDescription(body: Buffer): readonly number[] | undefined {
  const cursor = new Cursor(body);
  const count = cursor.uint16();
  if (count * 4 !== cursor.remaining) return undefined;
  const types = Array.from({ length: count }, () => cursor.uint32());
  return cursor.done ? types : undefined;
}

/** NotificationResponse: who notified which channel of what. */
export function parseNotification(
  body: Buffer,
): { readonly pid: number; readonly channel: string; readonly payload: string } | undefined {
  const cursor = new Cursor(body);
  const pid = cursor.int32();
  const channel = cursor.text();
  const payload = cursor.text();
  return cursor.done ? { pid, channel, payload } : undefined;
}

/** FunctionCallResponse. */
export function parseFunctionCallResponse(body: Buffer): { readonly value: Buffer | null } | undefined {
  const cursor = new Cursor(body);
  const length = cursor.int32();
  const value = length === -1 ? null : cursor.bytes(length);
  return cursor.done ? { value } : undefined;
}

/** NegotiateProtocolVersion: the version offered instead, and the options not understood. */
export function parseNegotiateProtocolVersion(
  body: Buffer,
): { readonly version: number; readonly unsupported: readonly string[] } | undefined {
  const cursor = new Cursor(body);
  const version = cursor.int32();
  const count = cursor.int32();
  const unsupported: string[] = [];
  for (let index = 0; index < count && cursor.ok; index++) unsupported.push(cursor.text());
  return cursor.done && count >= 0 ? { version, unsupported } : undefined;
}

/** Any authentication request; {@link authenticationCodes} names the codes. */
export function parseAuthentication(body: Buffer): Authentication | undefined {
  const cursor = new Cursor(body);
  const code = cursor.int32();
  const data = cursor.rest();
  return cursor.done ? { code, data } : undefined;
}

/** AuthenticationSASL's data: the mechanisms the server offers, most wanted first. */
export function parseSaslMechanisms(data: Buffer): readonly string[] | undefined {
  const cursor = new Cursor(data);
  const mechanisms: string[] = [];
  for (let name = cursor.text(); name !== '' && cursor.ok; name = cursor.text()) mechanisms.push(name);
  return cursor.done ? mechanisms : undefined;
}

/** RowDescription. @throws RangeError for a NUL in a name */
export const rowDescription = (fields: readonly FieldDescription[]): Buffer =>
  message(
    backend.rowDescription,
    list(
      fields.map((field) =>
        Buffer.concat([
          cstring(field.name),
          int32(field.tableOid),
          int16(field.attributeNumber),
          int32(field.typeOid),
          int16(field.typeBytes),
          int32(field.typeModifier),
          int16(field.format),
        ]),
      ),
    ),
  );

const errorFields = (fields: ErrorFields): Buffer =>
  Buffer.concat([
    ...[...fields].map(([code, value]) => Buffer.concat([Buffer.from(code, 'latin1'), cstring(value)])),
    uint8(0),
  ]);

/** ErrorResponse. @throws RangeError for a NUL in a field */
export const errorResponse = (fields: ErrorFields): Buffer => message(backend.errorResponse, errorFields(fields));
/** NoticeResponse. @throws RangeError for a NUL in a field */
export const noticeResponse = (fields: ErrorFields): Buffer => message(backend.noticeResponse, errorFields(fields));
/** CommandComplete. */
export const commandComplete = (tag: string): Buffer => message(backend.commandComplete, cstring(tag));
/** ParameterStatus. */
export const parameterStatus = (name: string, value: string): Buffer =>
  message(backend.parameterStatus, cstring(name), cstring(value));
/** BackendKeyData; four bytes of secret in protocol 3.0. */
export const backendKeyData = (pid: number, secret: Uint8Array): Buffer =>
  message(backend.backendKeyData, int32(pid), secret);
/** ReadyForQuery. */
export const readyForQuery = (status: TransactionStatus): Buffer =>
  message(backend.readyForQuery, Buffer.from(status, 'latin1'));
/** ParameterDescription. */
export const parameterDescription = (types: readonly number[]): Buffer =>
  message(backend.parameterDescription, list(types.map(int32)));
/** NotificationResponse. */
export const notification = (pid: number, channel: string, payload: string): Buffer =>
  message(backend.notificationResponse, int32(pid), cstring(channel), cstring(payload));
/** FunctionCallResponse. */
export const functionCallResponse = (value: Uint8Array | null): Buffer =>
  message(backend.functionCallResponse, nullable(value));
/** NegotiateProtocolVersion; `version` as in a startup packet. */
export const negotiateProtocolVersion = (version: number, unsupported: readonly string[]): Buffer =>
  message(backend.negotiateProtocolVersion, int32(version), int32(unsupported.length), ...unsupported.map(cstring));
/** An authentication request. */
export const authentication = (code: number, data: Uint8Array = new Uint8Array()): Buffer =>
  message(backend.authentication, int32(code), data);
/** The data of AuthenticationSASL. */
export const saslMechanisms = (mechanisms: readonly string[]): Buffer =>
  Buffer.concat([...mechanisms.map(cstring), uint8(0)]);

/** CopyInResponse. */
export const copyInResponse = (response: CopyResponse): Buffer => copyResponse(backend.copyInResponse, response);
/** CopyOutResponse. */
export const copyOutResponse = (response: CopyResponse): Buffer => copyResponse(backend.copyOutResponse, response);
/** CopyBothResponse. */
export const copyBothResponse = (response: CopyResponse): Buffer => copyResponse(backend.copyBothResponse, response);
/** CopyData and CopyDone are the same bytes in both directions. */
export const copyData = (data: Uint8Array): Buffer => message(backend.copyData, data);
/** CopyDone. */
export const copyDone = (): Buffer => message(backend.copyDone);

/** ParseComplete. */
export const parseComplete = (): Buffer => message(backend.parseComplete);
/** BindComplete. */
export const bindComplete = (): Buffer => message(backend.bindComplete);
/** CloseComplete. */
export const closeComplete = (): Buffer => message(backend.closeComplete);
/** NoData. */
export const noData = (): Buffer => message(backend.noData);
/** PortalSuspended. */
export const portalSuspended = (): Buffer => message(backend.portalSuspended);
/** EmptyQueryResponse. */
export const emptyQueryResponse = (): Buffer => message(backend.emptyQueryResponse);

function copyResponse(type: number, response: CopyResponse): Buffer {
  return message(type, uint8(response.format), list(response.columnFormats.map(int16)));
}

function format(code: number, cursor: Cursor): Format {
  if (code !== 0 && code !== 1) cursor.fail();
  return code === 1 ? 1 : 0;
}

function decode(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
