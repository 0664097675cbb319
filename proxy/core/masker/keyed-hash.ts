import { createHmac, createSecretKey, hash } from 'node:crypto';

/** What every keyed hash begins with. */
export const hashPrefix = 'hmac:';

const blockBytes = 64;
/** Values up to this take the short way. */
const shortBytes = 1024;

/**
 * Returns a function that gives `hmac:` and the first 128 bits of HMAC-SHA256 over a value's (UTF-8) bytes, in lower-case
 * hexadecimal. A result can have thousands of cells to hash, and making a `Hmac` object costs more than twice as much as
 * the two digests it is defined by, so short values get these directly; a test compares the two.
 *
 * @param key - at least 32 bytes. @throws RangeError otherwise
 * @see https://www.rfc-editor.org/rfc/rfc2104#section-2
 */
export function keyedHasher(key: Uint8Array): (value: string | Uint8Array) => string {
  if (key.length < 32) throw new RangeError('the mask key must have at least 32 bytes');
  const secret = createSecretKey(key);
  const inner = Buffer.alloc(blockBytes + 3 * shortBytes, 0x36);
  const outer = Buffer.alloc(blockBytes + 32, 0x5c);
  const padded = key.length > blockBytes ? hash('sha256', key, 'buffer') : key;
  for (const [at, byte] of padded.entries()) {
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  return (value) => {
    if (value.length > shortBytes) return text(createHmac('sha256', secret).update(value).digest('hex'));
    let size = value.length;
    if (typeof value === 'string') size = inner.write(value, blockBytes, 'utf8');
    else inner.set(value, blockBytes);
    outer.write(hash('sha256', inner.subarray(0, blockBytes + size), 'binary'), blockBytes, 'binary');
    return text(hash('sha256', outer, 'hex'));
  };
}

function text(digest: string): string {
  return hashPrefix + digest.slice(0, 32);
}
