import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { JsonObject } from '../core/types.ts';

/** The event of a line that is a signed head. */
export const headEvent = 'head';

/** Where a trail stood, signed: `hash` is the chain's at line `seq`, and so pins every line up to it. */
export interface SignedHead {
  readonly seq: number;
  readonly hash: string;
  /** When it was signed, RFC 3339. */
  readonly time: string;
  /** The name of the trail's file, without its folder. */
  readonly file: string;
  /** {@link signingKeyId} of the key. */
  readonly keyId: string;
  /** Ed25519, base64url. */
  readonly signature: string;
}

/** Signs where a trail stands. @param key - Ed25519 (RFC 8032) */
export function signHead(key: KeyObject, head: Omit<SignedHead, 'signature' | 'keyId'>): SignedHead {
  const keyId = signingKeyId(createPublicKey(key));
  return { ...head, keyId, signature: sign(null, signedBytes({ ...head, keyId }), key).toString('base64url') };
}

/** Whether one of these keys signed a head. */
export function isSigned(head: SignedHead, publicKeys: readonly KeyObject[]): boolean {
  const signature = Buffer.from(head.signature, 'base64url');
  return publicKeys.some((key) => signingKeyId(key) === head.keyId && verify(null, signedBytes(head), key, signature));
}

/** Lines of text, none of which can hold a line feed, behind one that no other signature of ours begins with. */
function signedBytes({ seq, hash, time, file, keyId }: Omit<SignedHead, 'signature'>): Buffer {
  return Buffer.from(['sallyport audit head 1', seq, hash, time, JSON.stringify(file), keyId].join('\n'));
}

/** Names a public key: the first 16 hex digits of the SHA-256 of its SPKI. */
export function signingKeyId(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
}

/** A private Ed25519 key in PKCS #8 PEM (`openssl genpkey -algorithm ed25519`). @throws Error when it is another. */
export function readSigningKey(pem: string): KeyObject {
  return ed25519(() => createPrivateKey(pem), 'private');
}

/** A public Ed25519 key in PEM (`openssl pkey -pubout`). @throws Error when it is another. */
export function readPublicKey(pem: string): KeyObject {
  return ed25519(() => createPublicKey(pem), 'public');
}

function ed25519(read: () => KeyObject, kind: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch {
    throw new Error(`there is no ${kind} key in PEM`);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`the ${kind} key is not of Ed25519`);
  return key;
}

/** A head as the members of its line; `sallyport audit head` prints the same. */
export function headMembers({ seq, hash, time, file, keyId, signature }: SignedHead): JsonObject {
  return { head: { seq, hash, time, file, key_id: keyId, signature } };
}

/** The head in a document that {@link headMembers} made, or undefined. */
export function parseHead(document: JsonObject): SignedHead | undefined {
  const { head } = document;
  if (typeof head !== 'object' || head === null || Array.isArray(head)) return undefined;
  const { seq, hash, time, file, key_id: keyId, signature } = head as JsonObject;
  if (typeof seq !== 'number' || typeof hash !== 'string' || typeof time !== 'string') return undefined;
  if (typeof file !== 'string' || typeof keyId !== 'string' || typeof signature !== 'string') return undefined;
  return { seq, hash, time, file, keyId, signature };
}
