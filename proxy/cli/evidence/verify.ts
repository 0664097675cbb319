import { createHash, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { type Verification, verifyAudit } from '../../audit/index.ts';
import { limits } from '../../core/limits.ts';
import { isManifestSigned, type Manifest, names, type Part, parseManifest } from './manifest.ts';

/** What an archive proves. */
export interface EvidenceReport {
  /** Empty when everything in it is what the gateway put there. */
  readonly problems: readonly string[];
  /** Undefined when nobody signed it. */
  readonly manifest: Manifest | undefined;
  readonly audit: Verification | undefined;
}

/** Holds every part of an archive against its signed manifest, and the audit lines against their signed heads. Offline. */
export async function verifyEvidence(archive: Readable, publicKeys: readonly KeyObject[]): Promise<EvidenceReport> {
  const scratch = await mkdtemp(join(tmpdir(), 'sallyport-evidence-'));
  try {
    const auditFile = join(scratch, names.audit);
    const contents = await readArchive(archive, auditFile);
    return await judge(contents, auditFile, publicKeys);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Contents {
  readonly parts: readonly Part[];
  readonly manifest: Buffer | undefined;
  readonly signature: string;
  readonly problems: readonly string[];
}

async function readArchive(archive: Readable, auditFile: string): Promise<Contents> {
  const parts: Part[] = [];
  const problems: string[] = [];
  const kept = new Map<string, Buffer>();
  const entries = extract();
  const read = pipeline(archive, entries);
  const take = async () => {
    for await (const entry of entries) {
      const { name, type } = entry.header;
      const hash = createHash('sha256');
      const small: Buffer[] = [];
      let bytes = 0;
      const isSmall = name === names.manifest || name === names.signature;
      const copy = name === names.audit ? createWriteStream(auditFile, { flags: 'wx' }) : undefined;
      for await (const chunk of entry) {
        if (!Buffer.isBuffer(chunk)) throw new TypeError('expected bytes');
        bytes += chunk.length;
        hash.update(chunk);
        if (isSmall) small.push(chunk);
        if (isSmall && bytes > limits.evidenceManifestBytesMax) throw new Error(`${name} is larger than its bound`);
        if (copy !== undefined && !copy.write(chunk)) await once(copy, 'drain');
      }
      if (copy !== undefined) await new Promise<void>((ended) => copy.end(ended));
      if (type !== 'file') problems.push(`${name} is no file`);
      if (kept.has(name) || parts.some((part) => part.name === name)) problems.push(`${name} is there twice`);
      if (isSmall) kept.set(name, Buffer.concat(small));
      else parts.push({ name, bytes, sha256: hash.digest('hex') });
      if (parts.length > limits.evidencePartsMax) throw new Error('the archive has more parts than its bound');
    }
  };
  await Promise.all([take(), read]);
  return { parts, problems, manifest: kept.get(names.manifest), signature: String(kept.get(names.signature) ?? '') };
}

async function judge(contents: Contents, auditFile: string, publicKeys: readonly KeyObject[]): Promise<EvidenceReport> {
  const { manifest: bytes, signature, parts } = contents;
  if (bytes === undefined || !isManifestSigned(bytes, signature, publicKeys))
    return { problems: ['none of the public keys signed the manifest'], manifest: undefined, audit: undefined };
  const manifest = parseManifest(bytes);
  const problems = [...contents.problems, ...differences(manifest.parts, parts)];
  for (const { name, sha256 } of parts)
    if (name.startsWith('policies/') && name !== `policies/${sha256}`)
      problems.push(`${name} is not what its name says`);
  const { start, lines } = manifest.audit;
  const audit = await verifyAudit([auditFile], { publicKeys, start });
  if (audit.defect !== undefined)
    problems.push(`${names.audit}:${audit.defect.line}: ${audit.defect.message} (${audit.defect.kind})`);
  else if (audit.lines !== lines) problems.push(`${names.audit} has ${audit.lines} lines, not ${lines}`);
  return { problems, manifest, audit };
}

function differences(promised: readonly Part[], there: readonly Part[]): string[] {
  const found = new Map(there.map((part) => [part.name, part]));
  const problems: string[] = [];
  for (const { name, bytes, sha256 } of promised) {
    const part = found.get(name);
    if (part === undefined) problems.push(`${name} is missing`);
    else if (part.bytes !== bytes || part.sha256 !== sha256) problems.push(`${name} was changed`);
    found.delete(name);
  }
  return [...problems, ...[...found.keys()].map((name) => `${name} is not in the manifest`)];
}
