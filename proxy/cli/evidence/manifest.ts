import { type KeyObject, sign, verify } from 'node:crypto';
import type { Head } from '../../audit/index.ts';
import { limits } from '../../core/limits.ts';

/** What an archive of evidence holds; its last part but one, signed by the last. */
export interface Manifest {
  readonly format: 'sallyport evidence 1';
  readonly created_at: string;
  /** The range that was asked for: from the first time on, up to but not with the second. */
  readonly from: string;
  readonly to: string;
  /** Where the audit lines in it continue, and how many there are, up to the first head behind the range. */
  readonly audit: { readonly start: Head; readonly lines: number };
  readonly parts: readonly Part[];
  /** What the trail names, but nobody has any more: removed by retention, or never kept. */
  readonly missing: readonly string[];
}

/** One file of an archive. */
export interface Part {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Names within an archive. */
export const names = {
  audit: 'audit.jsonl',
  approvals: 'approvals.jsonl',
  manifest: 'manifest.json',
  signature: 'manifest.sig',
} as const;

/** Behind a line that no other signature of the gateway begins with. */
function signedBytes(manifest: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('sallyport evidence manifest 1\n'), manifest]);
}

/** The content of `manifest.sig`: Ed25519, base64url. */
export function signManifest(manifest: Uint8Array, key: KeyObject): string {
  return `${sign(null, signedBytes(manifest), key).toString('base64url')}\n`;
}

/** Whether one of the keys signed a manifest. */
export function isManifestSigned(manifest: Uint8Array, signature: string, publicKeys: readonly KeyObject[]): boolean {
  const bytes = Buffer.from(signature.trim(), 'base64url');
  return publicKeys.some((key) => verify(null, signedBytes(manifest), key, bytes));
}

/** Reads a manifest whose signature holds. @throws Error when it is of another format all the same */
export function parseManifest(bytes: Uint8Array): Manifest {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  if (!isManifest(value)) throw new Error('the manifest is of another format');
  return value;
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null || !('format' in value) || !('parts' in value)) return false;
  const { format, parts } = value;
  return format === 'sallyport evidence 1' && Array.isArray(parts) && parts.length <= limits.evidencePartsMax;
}
