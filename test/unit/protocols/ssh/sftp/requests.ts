/** A client's packets, written by hand from the specification and not with the codec that is tested. */

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function str(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function pkt(type: number, ...body: Buffer[]): Buffer {
  const rest = Buffer.concat(body);
  return Buffer.concat([u32(rest.length + 1), Buffer.from([type]), rest]);
}

/** The bits of an OPEN. */
export const bits = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

export const noAttributes = u32(0);
export const permissions = (mode: number) => Buffer.concat([u32(4), u32(mode)]);
export const size = (bytes: number) => Buffer.concat([u32(1), u64(bytes)]);

/** Each request by its name, without its id. */
export const request = {
  open: (path: string | Buffer, flags: number, attributes = noAttributes) => [3, str(path), u32(flags), attributes],
  close: (handle: Buffer) => [4, str(handle)],
  read: (handle: Buffer, offset: number, length: number) => [5, str(handle), u64(offset), u32(length)],
  write: (handle: Buffer, offset: number, data: string | Buffer) => [6, str(handle), u64(offset), str(data)],
  lstat: (path: string | Buffer) => [7, str(path)],
  fstat: (handle: Buffer) => [8, str(handle)],
  setstat: (path: string, attributes: Buffer) => [9, str(path), attributes],
  fsetstat: (handle: Buffer, attributes: Buffer) => [10, str(handle), attributes],
  opendir: (path: string) => [11, str(path)],
  readdir: (handle: Buffer) => [12, str(handle)],
  remove: (path: string) => [13, str(path)],
  mkdir: (path: string) => [14, str(path), noAttributes],
  rmdir: (path: string) => [15, str(path)],
  realpath: (path: string) => [16, str(path)],
  stat: (path: string | Buffer) => [17, str(path)],
  rename: (from: string, to: string) => [18, str(from), str(to)],
  readlink: (path: string) => [19, str(path)],
  /** In OpenSSH's order. */
  symlink: (target: string, path: string) => [20, str(target), str(path)],
  extended: (name: string, ...body: Buffer[]) => [200, str(name), ...body],
} as const satisfies Record<string, (...given: never[]) => readonly [number, ...Buffer[]]>;

/** A whole packet of one of {@link request} under an id. */
export function withId(id: number, [type, ...body]: readonly [number, ...Buffer[]]): Buffer {
  return pkt(type, u32(id), ...body);
}

export const init = pkt(1, u32(3));

/** What a client makes of an answer. */
export interface Answer {
  readonly type: number;
  readonly id: number;
  /** Of a STATUS: its code and text. */
  readonly code: number | undefined;
  readonly text: string;
  /** Of a HANDLE or DATA. */
  readonly content: Buffer;
  /** Of a NAME. */
  readonly names: readonly string[];
  readonly body: Buffer;
}

/** Reads one whole packet. */
export function readAnswer(whole: Buffer): Answer {
  const type = whole.readUInt8(4);
  const body = whole.subarray(9);
  const content = type === 102 || type === 103 ? body.subarray(4) : Buffer.alloc(0);
  const names: string[] = [];
  if (type === 104) {
    for (let at = 4, left = body.readUInt32BE(0); left > 0; left--) {
      const length = body.readUInt32BE(at);
      names.push(body.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
      at += 4 + body.readUInt32BE(at);
      at = skipAttributes(body, at);
    }
  }
  const code = type === 101 ? body.readUInt32BE(0) : undefined;
  const text = type === 101 ? body.toString('utf8', 8, 8 + body.readUInt32BE(4)) : '';
  return { type, id: whole.readUInt32BE(5), code, text, content, names, body };
}

function skipAttributes(body: Buffer, at: number): number {
  const flags = body.readUInt32BE(at);
  const sizes = [8, 8, 4, 8].filter((_, bit) => (flags & (1 << bit)) !== 0);
  return at + 4 + sizes.reduce((sum, bytes) => sum + bytes, 0);
}
