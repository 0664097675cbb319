import { createHash, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { compactVerify, importSPKI } from 'jose';
import { GatewayError } from '../core/errors.ts';
import { canonicalJson } from './canonical-json.ts';

/** The one key that bundles must be signed with. */
export interface BundleVerification {
  /** RS, PS, ES or HS with 256, 384 or 512 bits. Taken from here, never from the signature's own header. */
  readonly algorithm: string;
  /** A public key as PEM (SPKI), or the shared secret for HS. */
  readonly key: string;
  /** When given, the payload's `scope` must be the same. */
  readonly scope?: string | undefined;
}

const algorithms = new Set(
  ['RS', 'PS', 'ES', 'HS'].flatMap((kind) => ['256', '384', '512'].map((bits) => kind + bits)),
);
const digests = new Map([
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
]);
const signaturesFile = '.signatures.json';

/**
 * Checks `.signatures.json`: one JWT whose payload names every file with its hash, no more and no fewer.
 *
 * @throws GatewayError `policy_unavailable`; also when there is a signature and no key, or a key and no signature.
 * @see https://www.openpolicyagent.org/docs/management-bundles#signing
 */
export async function verifySignatures(
  files: ReadonlyMap<string, Uint8Array>,
  verification: BundleVerification | undefined,
): Promise<void> {
  const signatures = files.get(signaturesFile);
  if (verification === undefined) {
    if (signatures !== undefined) throw refuse('it is signed, and no key is configured to check that with');
    return;
  }
  if (signatures === undefined) throw refuse('it is not signed');
  const signed = signedFiles(await verifiedPayload(tokenOf(signatures), verification), verification.scope);
  for (const [path, bytes] of files) {
    if (path === signaturesFile) continue;
    const expected = signed.get(path);
    if (expected === undefined) throw refuse(`${path} is not signed`);
    if (!sameHash(hashOf(path, bytes, expected.algorithm), expected.hash))
      throw refuse(`${path} is not what was signed`);
    signed.delete(path);
  }
  if (signed.size > 0) throw refuse('a signed file is missing');
}

function tokenOf(bytes: Uint8Array): string {
  const document = json(bytes);
  const list = member(document, 'signatures');
  const token = Array.isArray(list) && list.length === 1 ? list[0] : undefined;
  if (typeof token !== 'string') throw refuse('it does not hold exactly one signature');
  return token;
}

async function verifiedPayload(token: string, { algorithm, key }: BundleVerification): Promise<unknown> {
  if (!algorithms.has(algorithm)) throw refuse(`the algorithm ${algorithm} is not supported`);
  try {
    const { payload } = await compactVerify(token, await keyOf(algorithm, key), { algorithms: [algorithm] });
    return json(payload);
  } catch (thrown) {
    throw thrown instanceof GatewayError ? thrown : refuse('its signature does not verify', thrown);
  }
}

async function keyOf(algorithm: string, key: string): Promise<Awaited<ReturnType<typeof importSPKI>> | KeyObject> {
  return algorithm.startsWith('HS') ? createSecretKey(key, 'utf8') : importSPKI(key, algorithm);
}

function signedFiles(payload: unknown, scope: string | undefined): Map<string, { hash: string; algorithm: string }> {
  if (scope !== undefined && member(payload, 'scope') !== scope) throw refuse('it is signed for another scope');
  const list = member(payload, 'files');
  if (!Array.isArray(list)) throw refuse('its signature names no files');
  const signed = new Map<string, { hash: string; algorithm: string }>();
  for (const entry of list as unknown[]) {
    const name = member(entry, 'name');
    const hash = member(entry, 'hash');
    const algorithm = member(entry, 'algorithm');
    if (typeof name !== 'string' || typeof hash !== 'string' || typeof algorithm !== 'string') {
      throw refuse('its signature names a file without a hash');
    }
    const path = name.replace(/^\//, '');
    if (signed.has(path)) throw refuse(`its signature names ${path} twice`);
    signed.set(path, { hash, algorithm });
  }
  return signed;
}

/** OPA hashes the documents it parses in a canonical form, and every other file byte by byte. */
export function hashOf(path: string, bytes: Uint8Array, algorithm: string): string {
  const digest = digests.get(algorithm.toUpperCase());
  if (digest === undefined) throw refuse(`it is hashed with ${algorithm}`);
  const name = path.slice(path.lastIndexOf('/') + 1);
  const content = name === 'data.json' || name === '.manifest' ? canonical(path, bytes) : bytes;
  return createHash(digest).update(content).digest('hex');
}

function canonical(path: string, bytes: Uint8Array): string {
  try {
    return canonicalJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (thrown) {
    throw refuse(`${path} is not JSON`, thrown);
  }
}

function sameHash(actual: string, expected: string): boolean {
  const left = Buffer.from(actual);
  const right = Buffer.from(expected.toLowerCase());
  return left.length === right.length && timingSafeEqual(left, right);
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (thrown) {
    throw refuse('its signature is not JSON', thrown);
  }
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function refuse(why: string, cause?: unknown): GatewayError {
  return new GatewayError('policy_unavailable', `The policy bundle is refused: ${why}.`, { cause });
}
