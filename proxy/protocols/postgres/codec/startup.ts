/**
 * The first packet of a connection, which has no type byte: a startup message, or a request for TLS, GSS or a cancel.
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import { cstring, int32 } from './bytes.ts';
import { Cursor } from './cursor.ts';

/** What a first packet asks for. */
export type FirstPacket =
  | { readonly kind: 'ssl_request' }
  | { readonly kind: 'gss_request' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer }
  | {
      readonly kind: 'startup';
      readonly major: number;
      readonly minor: number;
      /** In the order sent. A name that comes twice makes the packet malformed. */
      readonly parameters: ReadonlyMap<string, string>;
    };

const sslRequestCode = 80_877_103;
const gssRequestCode = 80_877_104;
const cancelRequestCode = 80_877_102;

/** Protocol 3.0 as it is written in a startup packet. */
export const protocol30 = 3 << 16;

/** Reads what follows the length of a first packet. `undefined` when it is malformed. */
export function parseFirstPacket(body: Buffer): FirstPacket | undefined {
  const cursor = new Cursor(body);
  const code = cursor.uint32();
  if (!cursor.ok) return undefined;
  if (code === sslRequestCode) return cursor.done ? { kind: 'ssl_request' } : undefined;
  if (code === gssRequestCode) return cursor.done ? { kind: 'gss_request' } : undefined;
  if (code === cancelRequestCode) return parseCancel(cursor);
  const major = code >>> 16;
  // The layout of other major versions is unknown; that they were asked for is enough to refuse them.
  if (major !== 3) return { kind: 'startup', major, minor: code & 0xffff, parameters: new Map() };
  const parameters = new Map<string, string>();
  for (let name = cursor.text(); name !== ''; name = cursor.text()) {
    const value = cursor.text();
    if (!cursor.ok || parameters.has(name)) return undefined;
    parameters.set(name, value);
  }
  return cursor.done ? { kind: 'startup', major, minor: code & 0xffff, parameters } : undefined;
}

function parseCancel(cursor: Cursor): FirstPacket | undefined {
  const pid = cursor.int32();
  const secret = cursor.rest();
  return cursor.done && secret.length >= 4 && secret.length <= 256 ? { kind: 'cancel', pid, secret } : undefined;
}

/** SSLRequest. */
export const sslRequest = (): Buffer => packet(int32(sslRequestCode));
/** GSSENCRequest. */
export const gssRequest = (): Buffer => packet(int32(gssRequestCode));
/** CancelRequest. */
export const cancelRequest = (pid: number, secret: Uint8Array): Buffer =>
  packet(int32(cancelRequestCode), int32(pid), secret);

/** StartupMessage. @throws RangeError for a NUL in a name or value */
export const startupMessage = (parameters: Iterable<readonly [string, string]>, version: number = protocol30): Buffer =>
  packet(
    int32(version),
    ...[...parameters].flatMap(([name, value]) => [cstring(name), cstring(value)]),
    Buffer.alloc(1),
  );

function packet(...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
}
