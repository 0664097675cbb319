/**
 * Ed25519 private keys as files hold them: the gateway reads its authority's, the command line writes an agent's.
 *
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import { type PublicKey, parsePublicKey } from './public-key.ts';
import { WireReader, wireString, wireUint32 } from './wire.ts';

const magic = Buffer.from('openssh-key-v1\0', 'latin1');
const begin = '-----BEGIN OPENSSH PRIVATE KEY-----';
const end = '-----END OPENSSH PRIVATE KEY-----';

/**
 * Reads a private key that is not protected by a passphrase, in the format of OpenSSH or as PKCS #8 in PEM.
 *
 * @returns `undefined` when the text is not an Ed25519 key of one of these forms. It never says why: the text is a secret.
 */
export function parsePrivateKey(text: string): KeyObject | undefined {
  if (text.length > limits.secretBytesMax) return undefined;
  try {
    const key = text.includes(begin) ? parseOpenssh(text) : createPrivateKey({ key: text, format: 'pem' });
    return key?.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined;
  }
}

function parseOpenssh(text: string): KeyObject | undefined {
  const lines = text.trim().split(/\r?\n/);
  if (lines[0] !== begin || lines.at(-1) !== end) return undefined;
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  if (!bytes.subarray(0, magic.length).equals(magic)) return undefined;
  const reader = new WireReader(bytes.subarray(magic.length));
  const [cipher, derivation, derivationOptions] = [reader.text(), reader.text(), reader.string()];
  const count = reader.uint32();
  const publicBlob = reader.string();
  const body = new WireReader(reader.string());
  if (!reader.done || cipher !== 'none' || derivation !== 'none' || derivationOptions.length > 0 || count !== 1) {
    return undefined;
  }
  const checks = [body.uint32(), body.uint32()];
  const type = body.text();
  const publicBytes = body.string();
  const secret = body.string();
  if (!body.ok || checks[0] !== checks[1] || type !== 'ssh-ed25519' || secret.length !== 64) return undefined;
  const d = secret.toString('base64url', 0, 32);
  const key = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x: d }, format: 'jwk' }); // x is derived
  // The file says three times which key it is; one that disagrees with itself is not used.
  const same = publicKeyOf(key).blob.equals(publicBlob);
  return same && publicBlob.subarray(-32).equals(publicBytes) && secret.subarray(32).equals(publicBytes)
    ? key
    : undefined;
}

/** The public half of an Ed25519 private key. @throws TypeError when it is another kind of key. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  const parsed = parsePublicKey(Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.from(x, 'base64url'))]));
  if (parsed === undefined) throw new TypeError('not an Ed25519 key');
  return parsed;
}

/**
 * An Ed25519 key in the format of OpenSSH, without a passphrase.
 *
 * @param check - 32 random bits, written twice, by which a reader tells that it decrypted well.
 */
export function formatPrivateKey(key: KeyObject, comment: string, check: number): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' });
  const publicBytes = Buffer.from(x, 'base64url');
  const publicBlob = Buffer.concat([wireString('ssh-ed25519'), wireString(publicBytes)]);
  const body = Buffer.concat([
    ...[wireUint32(check), wireUint32(check), publicBlob],
    ...[wireString(Buffer.concat([Buffer.from(d, 'base64url'), publicBytes])), wireString(comment)],
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (body.length % 8)) % 8));
  const bytes = Buffer.concat([
    ...[magic, wireString('none'), wireString('none'), wireString(''), wireUint32(1), wireString(publicBlob)],
    wireString(Buffer.concat([body, padding])),
  ]);
  const lines = bytes.toString('base64').match(/.{1,70}/g) ?? [];
  return [begin, ...lines, end, ''].join('\n');
}
