import { createHash, type KeyObject } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { type Head, trailFiles } from '../../audit/index.ts';
import { type Line, parseLine, parseOpening } from '../../audit/line.ts';
import { readLines } from '../../audit/lines.ts';
import { genesisHash } from '../../audit/seal.ts';
import { limits } from '../../core/limits.ts';
import type { RecordingIndex } from '../../record/index.ts';
import { ApprovalRows } from './approvals.ts';
import { type Manifest, names, type Part, signManifest } from './manifest.ts';

/** What to take evidence of, and from where. */
export interface ExportOptions {
  readonly auditFile: string;
  readonly index: Pick<RecordingIndex, 'get'>;
  readonly recordDirectory: string;
  readonly policyDirectory: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly nowMs: number;
  /** Ed25519: the one that signs heads. */
  readonly signingKey: KeyObject;
}

/**
 * Writes one tar with the audit lines of a range, up to the first signed head behind it, the approvals that they are about, the
 * recordings of their sessions, the policy that was in force, and a signed manifest of it all.
 * @returns the manifest
 */
export async function exportEvidence(options: ExportOptions, target: NodeJS.WritableStream): Promise<Manifest> {
  const found = await surveyTrail(options);
  const archive = pack();
  const written = pipeline(archive, target);
  const build = async () => {
    const parts: Part[] = [];
    const missing: string[] = [];
    parts.push(await addPart(archive, names.audit, found.bytes, Readable.from(auditLines(options, found))));
    const rows = found.approvals.since(found.start.seq).map((row) => Buffer.from(`${JSON.stringify(row)}\n`));
    const rowBytes = rows.reduce((sum, { length }) => sum + length, 0);
    parts.push(await addPart(archive, names.approvals, rowBytes, Readable.from(rows)));
    for (const digest of found.policies) {
      const file = join(options.policyDirectory, digest);
      if (existsSync(file)) parts.push(await addFile(archive, `policies/${digest}`, file));
      else missing.push(`policies/${digest}`);
    }
    for (const session of found.sessions) {
      const entry = options.index.get(session);
      const file = entry && join(options.recordDirectory, entry.file);
      if (file !== undefined && existsSync(file))
        parts.push(await addFile(archive, `recordings/${session}.sprec`, file));
      else missing.push(`recordings/${session}.sprec`);
    }
    const manifest: Manifest = {
      format: 'sallyport evidence 1',
      created_at: new Date(options.nowMs).toISOString(),
      from: new Date(options.fromMs).toISOString(),
      to: new Date(options.toMs).toISOString(),
      audit: { start: found.start, lines: found.lines },
      parts,
      missing,
    };
    const bytes = Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`);
    archive.entry({ name: names.manifest }, bytes);
    archive.entry({ name: names.signature }, signManifest(bytes, options.signingKey));
    archive.finalize();
    return manifest;
  };
  const [manifest] = await Promise.all([build(), written]);
  return manifest;
}

/** What a range of the trail consists of, and what it names. */
interface Survey {
  readonly start: Head;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly lines: number;
  readonly bytes: number;
  readonly sessions: ReadonlySet<string>;
  readonly policies: ReadonlySet<string>;
  readonly approvals: ApprovalRows;
}

async function surveyTrail(options: ExportOptions): Promise<Survey> {
  const { fromMs, toMs } = options;
  let previous: Head = { seq: 0, hash: genesisHash };
  let start: Head | undefined;
  let inForce: string[] = [];
  let past = false;
  let done = false;
  let [lines, bytes, lastSeq] = [0, 0, 0];
  let tornBytes = 0;
  const sessions = new Set<string>();
  const policies = new Set<string>();
  const approvals = new ApprovalRows();
  for await (const raw of linesOf(options.auditFile)) {
    const { line } = raw;
    if (line === undefined) {
      tornBytes += raw.bytes;
      continue;
    }
    const timeMs = Date.parse(line.time);
    if (line.event === 'activated') inForce = digestsOf(line);
    if (start === undefined && timeMs >= fromMs) start = parseOpening(line)?.previous ?? previous;
    // Lines that nothing waited for are written a little later than their time.
    past ||= timeMs >= toMs + limits.auditHeadMs;
    if (!done) approvals.take(line);
    if (start === undefined && line.event === 'approval') approvals.forget(line);
    if (start !== undefined && !done) {
      // A torn piece belongs to the opening behind it.
      bytes += raw.bytes + tornBytes;
      lines += 1;
      lastSeq = line.seq;
      note(line, sessions);
      for (const digest of inForce) policies.add(digest);
      done = past && line.event === 'head';
    }
    tornBytes = 0;
    previous = { seq: line.seq, hash: line.hash };
    if (sessions.size > limits.evidencePartsMax)
      throw new Error('there are too many sessions: ask for a shorter range');
  }
  if (start === undefined || lines === 0) throw new Error('the trail has no lines of that time');
  return { start, firstSeq: start.seq + 1, lastSeq, lines, bytes, sessions, policies, approvals };
}

function note({ members }: Line, sessions: Set<string>): void {
  if (typeof members.session === 'string' && /^[0-9A-Za-z_-]{1,64}$/.test(members.session))
    sessions.add(members.session);
}

function digestsOf({ members }: Line): string[] {
  const { bundle_sha256: bundle, data_sha256: data } = members;
  return [bundle, data].filter(
    (digest): digest is string => typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest),
  );
}

interface RawLine {
  /** Undefined for a piece that a crash left. */
  readonly line: Line | undefined;
  /** With its line feed. */
  readonly text: Buffer;
  readonly bytes: number;
}

/** All whole lines of a trail, oldest first. */
async function* linesOf(auditFile: string): AsyncGenerator<RawLine> {
  for (const file of trailFiles(auditFile)) {
    for await (const { bytes, whole } of readLines(file, limits.auditLineBytesMax)) {
      if (!whole) continue;
      const text = Buffer.concat([bytes, Buffer.from('\n')]);
      yield { line: parseLine(text.subarray(0, -1)), text, bytes: text.length };
    }
  }
}

async function* auditLines(options: ExportOptions, { firstSeq, lastSeq }: Survey): AsyncGenerator<Buffer> {
  let torn: Buffer[] = [];
  for await (const { line, text } of linesOf(options.auditFile)) {
    if (line === undefined) {
      torn.push(text);
      continue;
    }
    if (line.seq > lastSeq) return;
    if (line.seq >= firstSeq) yield Buffer.concat([...torn, text]);
    torn = [];
  }
}

async function addFile(archive: Pack, name: string, file: string): Promise<Part> {
  const { size } = statSync(file);
  // A recording may be written while it is read: what is there now is what counts.
  const content = size === 0 ? Readable.from([]) : createReadStream(file, { end: size - 1 });
  return addPart(archive, name, size, content);
}

async function addPart(archive: Pack, name: string, bytes: number, content: Readable): Promise<Part> {
  const hash = createHash('sha256');
  const entry = archive.entry({ name, size: bytes });
  content.on('data', (chunk) => hash.update(chunk));
  await pipeline(content, entry);
  return { name, bytes, sha256: hash.digest('hex') };
}
