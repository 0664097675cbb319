import type { Fault } from '../../../core/types.ts';
import { Cursor, packet, string, utf8 } from './bytes.ts';
import { handleBytesMax, headerBytes, packetTypes } from './packet-types.ts';

/** What policy calls what a client wants done with a path. */
export type SftpOperationName =
  | 'open'
  | 'list'
  | 'stat'
  | 'set_attributes'
  | 'remove'
  | 'rename'
  | 'mkdir'
  | 'rmdir'
  | 'link'
  | 'symlink'
  | 'read_link'
  | 'real_path'
  | 'extended';

/** One part of a request. `target` is what a symbolic link is to contain, `text` is anything else that is counted. */
type Field = 'path' | 'target' | 'handle' | 'flags' | 'attributes' | 'text' | 'uint32' | 'uint64';

/** One kind of request: how it is written, how it is judged, how it is answered. */
export interface RequestShape {
  readonly type: number;
  /** The name of an extension; empty for the requests of the specification. */
  readonly extension: string;
  readonly fields: readonly Field[];
  /** The type of an answer that is no STATUS; `status` when there is none. */
  readonly reply: number;
  /** Undefined for what is done with an open handle, under the permit that opened it. */
  readonly operation: SftpOperationName | undefined;
  /** The host follows a symbolic link at the end of the path, so that what is judged is where it leads. */
  readonly follows: boolean;
  /** It can change where paths lead: nothing is resolved before it is answered. */
  readonly changes: boolean;
}

const { status, handle, name, attributes, data, extendedReply } = packetTypes;

function shape(
  type: number,
  fields: readonly Field[],
  reply: number,
  operation?: SftpOperationName,
  how: { follows?: boolean; changes?: boolean; extension?: string } = {},
): RequestShape {
  const { follows = false, changes = false, extension = '' } = how;
  return { type, extension, fields, reply, operation, follows, changes };
}

const follows = true;
const changes = true;

/**
 * Every request that is let through, but INIT and WRITE, which are read on their own. SYMLINK has its arguments in
 * OpenSSH's order, which is not the draft's.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-6
 */
const shapes: readonly RequestShape[] = [
  shape(packetTypes.open, ['path', 'flags', 'attributes'], handle, 'open', { follows }),
  shape(packetTypes.close, ['handle'], status),
  shape(packetTypes.read, ['handle', 'uint64', 'uint32'], data),
  shape(packetTypes.lstat, ['path'], attributes, 'stat'),
  shape(packetTypes.fstat, ['handle'], attributes),
  shape(packetTypes.setstat, ['path', 'attributes'], status, 'set_attributes', { follows }),
  shape(packetTypes.fsetstat, ['handle', 'attributes'], status, 'set_attributes'),
  shape(packetTypes.opendir, ['path'], handle, 'list', { follows }),
  shape(packetTypes.readdir, ['handle'], name),
  shape(packetTypes.remove, ['path'], status, 'remove', { changes }),
  shape(packetTypes.mkdir, ['path', 'attributes'], status, 'mkdir', { changes }),
  shape(packetTypes.rmdir, ['path'], status, 'rmdir', { changes }),
  shape(packetTypes.realpath, ['path'], name, 'real_path', { follows }),
  shape(packetTypes.stat, ['path'], attributes, 'stat', { follows }),
  shape(packetTypes.rename, ['path', 'path'], status, 'rename', { changes }),
  shape(packetTypes.readlink, ['path'], name, 'read_link'),
  shape(packetTypes.symlink, ['target', 'path'], status, 'symlink', { changes }),
];

function extension(
  extensionName: string,
  fields: readonly Field[],
  reply: number,
  operation?: SftpOperationName,
  how: { follows?: boolean; changes?: boolean } = {},
): RequestShape {
  return shape(packetTypes.extended, fields, reply, operation, { ...how, extension: extensionName });
}

/** @see https://github.com/openssh/openssh-portable/blob/V_9_2_P1/PROTOCOL section 4 */
const extensions: readonly RequestShape[] = [
  extension('posix-rename@openssh.com', ['path', 'path'], status, 'rename', { changes }),
  extension('hardlink@openssh.com', ['path', 'path'], status, 'link', { changes }),
  extension('statvfs@openssh.com', ['path'], extendedReply, 'stat', { follows }),
  extension('fstatvfs@openssh.com', ['handle'], extendedReply),
  extension('fsync@openssh.com', ['handle'], status),
  extension('lsetstat@openssh.com', ['path', 'attributes'], status, 'set_attributes'),
  extension('limits@openssh.com', [], extendedReply),
  extension('expand-path@openssh.com', ['path'], name, 'real_path', { follows }),
  extension('copy-data', ['handle', 'uint64', 'uint64', 'handle', 'uint64'], status, 'extended'),
  extension('home-directory', ['text'], name, 'real_path'),
  extension('users-groups-by-id@openssh.com', ['text', 'text'], extendedReply),
];

const byType: ReadonlyMap<number, RequestShape> = new Map(shapes.map((each) => [each.type, each]));
const byExtension: ReadonlyMap<string, RequestShape> = new Map(extensions.map((each) => [each.extension, each]));

/** True for an extension that the gate lets through; others are not shown to clients. */
export function isKnownExtension(extensionName: string): boolean {
  return byExtension.has(extensionName);
}

/** The shape of a known request of the specification or extension. @throws when there is none. */
export function shapeOf(type: number, extensionName = ''): RequestShape {
  const found = extensionName === '' ? byType.get(type) : byExtension.get(extensionName);
  if (found === undefined) throw new RangeError(`there is no request ${type} ${extensionName}`);
  return found;
}

/** A request as the client wrote it. */
export interface Request {
  readonly shape: RequestShape;
  readonly id: number;
  /** Its fields as they came, counts included; views of the packet. */
  readonly fields: readonly Buffer[];
  readonly paths: readonly string[];
  /** What a symbolic link is to contain. */
  readonly target: string;
  /** Its handles, byte for byte, as latin1. */
  readonly handles: readonly string[];
  readonly numbers: readonly number[];
  /** How an OPEN opens. */
  readonly flags: readonly OpenFlag[];
  /** The attributes that it sets, by name; `set_id` for a mode that lends the owner's rights. */
  readonly attributes: readonly AttributeName[];
}

/** How a file is opened. */
export type OpenFlag = 'read' | 'write' | 'append' | 'create' | 'truncate' | 'exclusive';

/** What a request sets. */
export type AttributeName = 'size' | 'owner' | 'permissions' | 'set_id' | 'times';

/** A request that is not let through. */
export interface Unreadable {
  readonly fault: Fault;
  readonly operation: SftpOperationName;
}

/** Reads the request in `whole`, a packet with its header. A path has `pathBytesMax` bytes at most. Never throws. */
export function parseRequest(whole: Buffer, pathBytesMax: number): Request | Unreadable {
  const type = whole.readUInt8(4);
  const cursor = new Cursor(whole.subarray(headerBytes));
  let found = byType.get(type);
  if (type === packetTypes.extended) {
    const called = cursor.string();
    if (!cursor.ok) return malformed(undefined, 'The name of an extension is cut short.');
    found = byExtension.get(called.toString('latin1'));
  }
  if (found === undefined) {
    const fault: Fault = { code: 'operation_unsupported', message: 'This request of SFTP is not let through.' };
    return { fault, operation: 'extended' };
  }
  const reading = new Reading(whole, cursor, pathBytesMax);
  for (const field of found.fields) reading.field(field);
  if (reading.fault !== undefined) return { fault: reading.fault, operation: found.operation ?? 'extended' };
  if (!cursor.done) return malformed(found, 'A request is cut short or has more than it should.');
  const { fields, paths, target, handles, numbers, flags, attributes } = reading;
  return { shape: found, id: whole.readUInt32BE(5), fields, paths, target, handles, numbers, flags, attributes };
}

/** Collects the fields of one request; the first thing wrong with what they say is its `fault`. */
class Reading {
  readonly fields: Buffer[] = [];
  readonly paths: string[] = [];
  readonly handles: string[] = [];
  readonly numbers: number[] = [];
  readonly flags: OpenFlag[] = [];
  readonly attributes: AttributeName[] = [];
  target = '';
  fault: Fault | undefined;
  readonly #body: Buffer;
  readonly #cursor: Cursor;
  readonly #pathBytesMax: number;

  constructor(whole: Buffer, cursor: Cursor, pathBytesMax: number) {
    this.#body = whole.subarray(headerBytes);
    this.#cursor = cursor;
    this.#pathBytesMax = pathBytesMax;
  }

  field(field: Field): void {
    const cursor = this.#cursor;
    const from = cursor.position;
    if (field === 'path') this.paths.push(this.#path(cursor.string()));
    else if (field === 'target') this.target = this.#path(cursor.string());
    else if (field === 'handle') this.handles.push(this.#handle(cursor.string()));
    else if (field === 'text') cursor.string();
    else if (field === 'uint32') this.numbers.push(cursor.uint32());
    else if (field === 'uint64') this.numbers.push(cursor.uint64());
    else if (field === 'flags') this.#openFlags(cursor.uint32());
    else this.#setAttributes();
    this.fields.push(this.#body.subarray(from, cursor.position));
  }

  #path(bytes: Buffer): string {
    const text = utf8(bytes);
    if (bytes.length > this.#pathBytesMax) this.#wrong('operation_too_large', 'A path is longer than any file’s.');
    else if (text === undefined) this.#wrong('operation_malformed', 'A path is not UTF-8.');
    else if (bytes.includes(0)) this.#wrong('operation_malformed', 'A path contains NUL.');
    return text ?? '';
  }

  #handle(bytes: Buffer): string {
    if (bytes.length > handleBytesMax) this.#wrong('operation_malformed', 'A handle is longer than 256 bytes.');
    return bytes.toString('latin1', 0, handleBytesMax);
  }

  /** @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-6.3 */
  #openFlags(bits: number): void {
    if (bits >>> openFlags.length !== 0) this.#wrong('operation_unsupported', 'An OPEN has flags that are not known.');
    // OpenSSH would open it for reading; another host may not.
    else if ((bits & 3) === 0) this.#wrong('operation_malformed', 'An OPEN neither reads nor writes.');
    for (const [bit, flag] of openFlags.entries()) if ((bits & (1 << bit)) !== 0) this.flags.push(flag);
  }

  /** @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-5 */
  #setAttributes(): void {
    const cursor = this.#cursor;
    const bits = cursor.uint32();
    if (bits >>> 4 !== 0) {
      this.#wrong('operation_unsupported', 'A request sets attributes that are not known.');
      return;
    }
    if ((bits & 1) !== 0) {
      cursor.uint64();
      this.attributes.push('size');
    }
    if ((bits & 2) !== 0) {
      cursor.uint32();
      cursor.uint32();
      this.attributes.push('owner');
    }
    if ((bits & 4) !== 0) {
      this.attributes.push('permissions');
      if ((cursor.uint32() & 0o6000) !== 0) this.attributes.push('set_id');
    }
    if ((bits & 8) !== 0) {
      cursor.uint32();
      cursor.uint32();
      this.attributes.push('times');
    }
  }

  #wrong(code: Fault['code'], message: string): void {
    this.fault ??= { code, message };
  }
}

/** By the place of their bits. */
const openFlags: readonly OpenFlag[] = ['read', 'write', 'append', 'create', 'truncate', 'exclusive'];

function malformed(found: RequestShape | undefined, message: string): Unreadable {
  return { fault: { code: 'operation_malformed', message }, operation: found?.operation ?? 'extended' };
}

/** What stands in a request in place of what the client wrote there. */
export interface Replacement {
  readonly paths: readonly string[];
  readonly target: string;
}

/** The request as it is forwarded: under another id, with the paths that were judged. */
export function encodeRequest(request: Request, id: number, { paths, target }: Replacement): Buffer {
  const { shape: written, fields } = request;
  let path = 0;
  const body = written.fields.map((field, index) => {
    if (field === 'path') return string(paths[path++] ?? '');
    if (field === 'target') return string(target);
    return fields[index] ?? Buffer.alloc(0);
  });
  return written.extension === ''
    ? packet(written.type, id, ...body)
    : packet(written.type, id, string(written.extension), ...body);
}
