import { createHash, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { type Verification, verifyAudit } from '../../audit/index.ts';
import { parseLine } from '../../audit/line.ts';
import { readLines } from '../../audit/lines.ts';
import { queryAudit } from '../../audit/query.ts';
import { limits } from '../../core/limits.ts';
import type { JsonObject } from '../../core/types.ts';
import { DigestChain } from '../../record/index.ts';
import { type ApprovalFindings, type ApprovalRow, ApprovalRows, compareApprovals } from './approvals.ts';
import { isManifestSigned, type Manifest, names, type Part, parseManifest } from './manifest.ts';

/** What an archive proves. */
export interface EvidenceReport {
  /** Empty when everything in it is what the gateway put there. */
  readonly problems: readonly string[];
  /** Undefined when nobody signed it. */
  readonly manifest: Manifest | undefined;
  readonly audit: Verification | undefined;
  /** Recordings whose digest the audit lines do not name, because they ended later or by a crash: the manifest alone proves them. */
  readonly unbound: number;
  /** Uses of approvals without a decision: the gateway stopped between the two, or refused at the last moment. */
  readonly undecided: number;
}

/** Holds every part of an archive against its signed manifest, and the audit lines against their signed heads. Offline. */
export async function verifyEvidence(archive: Readable, publicKeys: readonly KeyObject[]): Promise<EvidenceReport> {
  const scratch = await mkdtemp(join(tmpdir(), 'sallyport-evidence-'));
  try {
    const contents = await readArchive(archive, scratch);
    return await judge(contents, scratch, publicKeys);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Contents {
  readonly parts: readonly Part[];
  readonly manifest: Buffer | undefined;
  readonly signature: string;
  /** The digests that recordings end with, by the names of their parts; undefined where they do not hold. */
  readonly seals: ReadonlyMap<string, string | undefined>;
  readonly problems: readonly string[];
}

/** @param scratch - where the parts go that are read again */
async function readArchive(archive: Readable, scratch: string): Promise<Contents> {
  const parts: Part[] = [];
  const problems: string[] = [];
  const kept = new Map<string, Buffer>();
  const seals = new Map<string, string | undefined>();
  const entries = extract();
  const read = pipeline(archive, entries);
  const take = async () => {
    for await (const entry of entries) {
      const { name, type } = entry.header;
      const hash = createHash('sha256');
      const small: Buffer[] = [];
      const chain = new DigestChain();
      const isRecording = name.startsWith('recordings/');
      let bytes = 0;
      const isSmall = name === names.manifest || name === names.signature;
      const isRead = name === names.audit || name === names.approvals;
      const isFirst = !parts.some((part) => part.name === name);
      const copy = isRead && isFirst ? createWriteStream(join(scratch, name), { flags: 'wx' }) : undefined;
      for await (const chunk of entry) {
        if (!Buffer.isBuffer(chunk)) throw new TypeError('expected bytes');
        bytes += chunk.length;
        hash.update(chunk);
        if (isSmall) small.push(chunk);
        if (isRecording) chain.push(chunk);
        if (isSmall && bytes > limits.evidenceManifestBytesMax) throw new Error(`${name} is larger than its bound`);
        if (copy !== undefined && !copy.write(chunk)) await once(copy, 'drain');
      }
      if (copy !== undefined) await new Promise<void>((ended) => copy.end(ended));
      if (type !== 'file') problems.push(`${name} is no file`);
      if (kept.has(name) || parts.some((part) => part.name === name)) problems.push(`${name} is there twice`);
      if (isRecording) seals.set(name, chain.end());
      if (isSmall) kept.set(name, Buffer.concat(small));
      else parts.push({ name, bytes, sha256: hash.digest('hex') });
      if (parts.length > limits.evidencePartsMax) throw new Error('the archive has more parts than its bound');
    }
  };
  await Promise.all([take(), read]);
  const signature = String(kept.get(names.signature) ?? '');
  return { parts, problems, seals, manifest: kept.get(names.manifest), signature };
}

async function judge(contents: Contents, scratch: string, publicKeys: readonly KeyObject[]): Promise<EvidenceReport> {
  const { manifest: bytes, signature, parts } = contents;
  const auditFile = join(scratch, names.audit);
  if (bytes === undefined || !isManifestSigned(bytes, signature, publicKeys))
    return {
      problems: ['none of the public keys signed the manifest'],
      manifest: undefined,
      audit: undefined,
      unbound: 0,
      undecided: 0,
    };
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
  // Lines that do not hold, and parts that were changed, say nothing about others.
  if (!audit.ok || problems.length > 0) return { problems, manifest, audit, unbound: 0, undecided: 0 };
  const { unbound, differing } = await bindings(auditFile, contents.seals);
  const approvals = await heldAgainst(auditFile, join(scratch, names.approvals), start.seq);
  return {
    problems: [...differing, ...approvals.problems],
    ...{ manifest, audit, unbound, undecided: approvals.undecided },
  };
}

/** Holds recordings against what the trail says was recorded, and heads sign. */
async function bindings(
  auditFile: string,
  seals: Contents['seals'],
): Promise<{ unbound: number; differing: string[] }> {
  const differing: string[] = [];
  const bound = new Set<string>();
  for await (const text of queryAudit([auditFile], { event: 'recorded' })) {
    const { session, digest }: JsonObject = JSON.parse(text);
    const name = `recordings/${String(session)}.sprec`;
    if (!seals.has(name)) continue;
    bound.add(name);
    if (seals.get(name) !== digest) differing.push(`${name} is not what the trail says was recorded`);
  }
  return { unbound: seals.size - bound.size, differing };
}

/** Holds the rows of approvals against the lines that they were made of. */
async function heldAgainst(auditFile: string, approvalsFile: string, seq: number): Promise<ApprovalFindings> {
  const told = new ApprovalRows();
  for await (const { bytes } of readLines(auditFile, limits.auditLineBytesMax)) {
    const line = parseLine(bytes);
    if (line !== undefined) told.take(line);
  }
  const rows: ApprovalRow[] = [];
  if (existsSync(approvalsFile)) {
    for await (const { bytes } of readLines(approvalsFile, limits.evidenceApprovalBytesMax))
      rows.push(JSON.parse(bytes.toString('utf8')));
  }
  return compareApprovals(rows, told, seq);
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
