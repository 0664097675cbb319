/** The server that a TLS client names in its first message, which need not be the one that its tunnel was opened to. */

/** Longer than any first message that a client sends; the parts of TLS's own framing come on top. */
const helloBytesMax = 16 * 1024;
const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;

/** What a first message says. */
export interface Hello {
  /** In lower case; undefined when it names none. */
  readonly serverName: string | undefined;
}

/**
 * Reads a ClientHello (RFC 8446 section 4.1.2) with its server_name (RFC 6066 section 3).
 *
 * @returns `'more'` while it is not all there; `'other'` when this is not TLS
 * @throws RangeError when it looks like TLS and is not well-formed
 */
export function readHello(bytes: Buffer): Hello | 'more' | 'other' {
  if (bytes.length === 0) return 'more';
  if (bytes[0] !== handshakeRecord) return 'other';
  const message = handshakeBytes(bytes);
  if (message === 'more' || message.length < 4) return bytes.length > 2 * helloBytesMax ? malformed() : 'more';
  if (message[0] !== clientHello) return malformed();
  const length = message.readUIntBE(1, 3);
  if (length > helloBytesMax) return malformed();
  if (message.length < 4 + length) return 'more';
  return helloOf(message.subarray(4, 4 + length));
}

/** What the records so far carry: a message may be cut over several (RFC 8446 section 5.1). */
function handshakeBytes(bytes: Buffer): Buffer | 'more' {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3 || length === 0) return malformed();
    parts.push(bytes.subarray(at + 5, Math.min(at + 5 + length, bytes.length)));
    at += 5 + length;
    if (parts.reduce((sum, part) => sum + part.length, 0) > helloBytesMax + 4) break;
  }
  return parts.length === 0 ? 'more' : Buffer.concat(parts);
}

function helloOf(body: Buffer): Hello {
  let at = 34;
  at += 1 + body.readUInt8(at);
  at += 2 + body.readUInt16BE(at);
  at += 1 + body.readUInt8(at);
  let serverName: string | undefined;
  // A message may end here: extensions are newer than the rest.
  const end = at === body.length ? at : at + 2 + body.readUInt16BE(at);
  if (end > body.length) return malformed();
  for (at += 2; at < end; ) {
    const type = body.readUInt16BE(at);
    const length = body.readUInt16BE(at + 2);
    const data = body.subarray(at + 4, at + 4 + length);
    if (data.length < length) return malformed();
    if (type === serverNameExtension) {
      if (serverName !== undefined) return malformed();
      serverName = nameOf(data);
    }
    at += 4 + length;
  }
  return { serverName };
}

/** A list of one name, of the one type that there is. */
function nameOf(data: Buffer): string {
  const length = data.readUInt16BE(3);
  if (data.readUInt16BE(0) !== data.length - 2 || data[2] !== 0 || length !== data.length - 5) return malformed();
  return data.toString('latin1', 5).toLowerCase();
}

function malformed(): never {
  throw new RangeError('this is no ClientHello');
}

/**
 * Looks at what a client sends first through a tunnel that nobody reads: TLS to another server than the tunnel was
 * opened to is refused, since a host that serves many names would otherwise make one permitted destination of them all.
 * What is not TLS passes. It cannot see which site is asked for inside TLS, nor that of an encrypted hello.
 */
export class ServerNameCheck {
  readonly #host: string;
  #held: Buffer | undefined = Buffer.alloc(0);

  /** @param host - that of the destination, as `parseAuthority` writes it */
  constructor(host: string) {
    this.#host = host;
  }

  /** What of the client's bytes may go on now. @throws RangeError for another name, or a malformed message */
  take(chunk: Buffer): Buffer | undefined {
    if (this.#held === undefined) return chunk;
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const hello = readHello(bytes);
    if (hello === 'more') {
      this.#held = Buffer.from(bytes);
      return undefined;
    }
    if (hello !== 'other' && hello.serverName !== undefined && hello.serverName !== this.#host) {
      throw new RangeError('the server is called by another name than the tunnel was opened to');
    }
    this.#held = undefined;
    return bytes;
  }
}
