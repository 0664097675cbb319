import { createHash, generateKeyPairSync } from 'node:crypto';
import { copyFileSync, createReadStream, createWriteStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { extract, pack } from 'tar-stream';
import { Approvals } from '../../../proxy/approval/index.ts';
import { type ExportOptions, exportEvidence } from '../../../proxy/cli/evidence/export.ts';
import { type Manifest, signManifest } from '../../../proxy/cli/evidence/manifest.ts';
import { verifyEvidence } from '../../../proxy/cli/evidence/verify.ts';
import { run } from '../../../proxy/cli/evidence.ts';
import { ulids } from '../../../proxy/core/clock.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { PolicyArchive } from '../../../proxy/policy/archive.ts';
import { readRecording, recordingKey } from '../../../proxy/record/index.ts';
import { openEmbeddedStore } from '../../../proxy/store/index.ts';
import { anApproval, bo, vote } from '../../support/approvals.ts';
import { completed, decided, openTrail, SteppedClock, scratch } from '../audit/support.ts';
import { collect, recorderAt } from '../record/support.ts';

const { privateKey: signingKey, publicKey } = generateKeyPairSync('ed25519');
const key = recordingKey(Buffer.alloc(32, 3));

type Parts = { name: string; content: Buffer }[];

let directory = '';
let archive = '';
let auditFile = '';
let options: ExportOptions;
const clock = new SteppedClock();
const minute = 60_000;

/** Three sessions, ten minutes apart from 09:00 on; the second under another policy; the archive takes 09:10 to 09:20. */
beforeEach(async () => {
  directory = scratch();
  archive = join(directory, 'evidence.tar');
  auditFile = join(directory, 'audit', 'audit.jsonl');
  clock.ms = Date.parse('2026-11-22T09:00:00.000Z');
  const policies = new PolicyArchive(join(directory, 'policies'));
  const audit = await openTrail(auditFile, { signingKey, clock, rotateBytes: 3_000 });
  const { recorder, index } = recorderAt(join(directory, 'recordings'), clock, key, (recording) =>
    audit.append({ event: 'recorded', members: '', own: { ...recording } }),
  );
  const activate = (bundle: string) => {
    const [bundle_sha256, data_sha256] = [policies.keep(Buffer.from(bundle)), policies.keep(Buffer.from('data'))];
    audit.write({ event: 'activated', members: '', own: { bundle, data: 'd', bundle_sha256, data_sha256 } });
  };
  activate('old');
  const store = openEmbeddedStore({ path: ':memory:', gateway: 'g' });
  const desk = new Approvals({
    ...{ store, audit, clock, limits, ids: ulids(clock), gateway: 'g' },
    metrics: { approval: () => {} },
  });
  const file = () => desk.file(anApproval({ session: 'S2', uses: 2, quorum: 2, expiresAtMs: clock.ms + 60 * minute }));
  const early = await file();
  await vote(desk, early.id);
  const forgotten = await file();
  await vote(desk, forgotten.id, { verdict: 'deny' });
  for (const number of [1, 2, 3]) {
    const session = recorder.open({ id: `S${number}`, protocol: 'ssh', header: { started_at: '' } });
    session.frame({ kind: 'stdout', data: Buffer.from(`output ${number}`) });
    for (const part of [1, 2, 3]) audit.write(decided(`${number}.${part}`, { session: `S${number}` }));
    if (number === 2) {
      // Asked before the range, agreed and used within it; and one that was only asked.
      await vote(desk, early.id, { approver: bo });
      await desk.take(early.id, 'd.used');
      audit.write(decided('used', { session: 'S2', approvals: [early.id] }));
      audit.append(completed('used'));
      await file();
    }
    await session.close({ status: 'ok' });
    await audit.flush();
    if (number === 1) activate('new');
    clock.ms += 10 * minute;
  }
  await desk.close();
  await store.close();
  await audit.close();
  options = {
    auditFile,
    index,
    recordDirectory: join(directory, 'recordings'),
    policyDirectory: policies.directory,
    fromMs: Date.parse('2026-11-22T09:10:00Z'),
    toMs: Date.parse('2026-11-22T09:20:00Z'),
    nowMs: clock.ms,
    signingKey,
  };
  await exportEvidence(options, createWriteStream(archive));
});

async function unpack(): Promise<Parts> {
  const parts: Parts = [];
  const entries = extract();
  const read = pipeline(createReadStream(archive), entries);
  for await (const entry of entries) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    parts.push({ name: entry.header.name, content: Buffer.concat(chunks) });
  }
  await read;
  return parts;
}

async function repack(parts: Parts): Promise<readonly string[]> {
  const entries = pack();
  for (const { name, content } of parts) entries.entry({ name }, content);
  entries.finalize();
  return (await verifyEvidence(Readable.from(entries), [publicKey])).problems;
}

const change = (bytes: Buffer, at: number) => {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
};

/** Parts with other approvals, under a manifest that the gateway's key signed all the same. */
function resigned(parts: Parts, name: string, content: Buffer): Parts {
  const manifest: Manifest = JSON.parse(String(parts.find((part) => part.name === 'manifest.json')?.content));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const described = manifest.parts.map((part) =>
    part.name === name ? { ...part, bytes: content.length, sha256 } : part,
  );
  const bytes = Buffer.from(JSON.stringify({ ...manifest, parts: described }));
  const signature = Buffer.from(signManifest(bytes, signingKey));
  const changed = new Map([
    [name, content],
    ['manifest.json', bytes],
    ['manifest.sig', signature],
  ]);
  return parts.map((part) => ({ name: part.name, content: changed.get(part.name) ?? part.content }));
}

describe('the approvals of an archive', () => {
  const rowsOf = (parts: Parts) =>
    String(parts.find(({ name }) => name === 'approvals.jsonl')?.content)
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text));

  test('are those of the range, with what was asked, every word on it, and every use with its decision', async () => {
    const [row, asked, ...others] = rowsOf(await unpack());
    expect(others).toEqual([]);
    const person = (id: string) => expect.objectContaining({ id });
    const about = { verdict: 'approve', reason: 'looked at it', channel: 'test', client_address: '127.0.0.1' };
    const votes = [
      { ...about, approver: person('ana'), at: '2026-11-22T09:00:00.000Z' },
      { ...about, approver: person('bo'), at: '2026-11-22T09:10:00.000Z' },
    ];
    expect(row).toMatchObject({
      state: 'approved',
      request: { action: 'delete', operation: { text: 'DELETE' }, subject: { id: 'bot' }, quorum: 2, uses: 2 },
      votes,
      uses: [{ decision_id: 'd.used', votes, decided: expect.any(Number), outcome: { status: 'ok' } }],
    });
    expect(asked).toMatchObject({ state: 'pending', votes: [], uses: [] });
  });

  test('do not verify when they say otherwise than the trail, whoever signed that', async () => {
    const parts = await unpack();
    const [row, asked] = rowsOf(parts);
    const [first, second] = row.votes;
    const problems = async (...rows: unknown[]) =>
      await repack(
        resigned(parts, 'approvals.jsonl', Buffer.from(rows.map((one) => `${JSON.stringify(one)}\n`).join(''))),
      );
    expect(await problems(row, asked)).toEqual([]);
    expect(await problems(row)).toEqual([expect.stringMatching(/is missing/)]);
    for (const changed of [
      { ...row, state: 'denied' },
      { ...row, uses: [] },
      { ...row, uses: [{ ...row.uses[0], decided: null }] },
      { ...row, votes: [first, { ...second, approver: { id: 'eve' } }] },
    ])
      expect(await problems(changed, asked)).toContainEqual(expect.stringMatching(/is not what the trail says/));
  });
});

test('a decision under an approval that was not used for it does not verify, one that is missing is noted', async () => {
  const file = join(directory, 'other', 'audit.jsonl');
  const audit = await openTrail(file, { signingKey, clock });
  const own = { approval: 'A', state: 'used' };
  audit.append({ event: 'approval', members: '', own: { ...own, what: 'used', decision_id: 'd.lost' } });
  audit.write(decided('1', { approvals: ['B'] }));
  await audit.close();
  const again = join(directory, 'again.tar');
  const range = { fromMs: clock.ms - minute, toMs: clock.ms + minute };
  await exportEvidence({ ...options, ...range, auditFile: file }, createWriteStream(again));
  expect(await verifyEvidence(createReadStream(again), [publicKey])).toMatchObject({
    problems: ['decision d.1 names approval B, which was not used for it'],
    undecided: 1,
  });
});

describe('an archive of evidence', () => {
  test('holds the lines of the range up to a head, their sessions, the policy in force, and says so signed', async () => {
    const { problems, manifest, audit, unbound } = await verifyEvidence(createReadStream(archive), [publicKey]);
    expect(problems).toEqual([]);
    expect(manifest?.missing).toEqual([]);
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const named = manifest?.parts.map(({ name }) => name) ?? [];
    expect(named).toContain('recordings/S2.sprec');
    expect(named).not.toContain('recordings/S1.sprec');
    expect(named).toContain(`policies/${hash('new')}`);
    expect(named).toContain(`policies/${hash('data')}`);
    expect(named).not.toContain(`policies/${hash('old')}`);
    expect(audit).toMatchObject({ ok: true, unsignedLines: 0 });
    expect(audit?.startsAfter).toBeGreaterThan(0);
    expect(unbound).toBe(0);
  });

  test('has recordings that their key opens', async () => {
    const { content = Buffer.alloc(0) } = (await unpack()).find(({ name }) => name === 'recordings/S2.sprec') ?? {};
    const file = join(directory, 'out.sprec');
    writeFileSync(file, content);
    const frames = await collect(readRecording(file, [key]));
    expect(frames.map(({ kind }) => kind)).toEqual(['header', 'stdout', 'end']);
  });

  test('does not verify when any of its parts was changed, at any of some places', async () => {
    const parts = await unpack();
    expect(parts.length).toBeGreaterThanOrEqual(6);
    for (const { name, content } of parts) {
      for (const at of [0, content.length >> 1, content.length - 2]) {
        const problems = await repack(
          parts.map((part) => (part.name === name ? { name, content: change(content, at) } : part)),
        );
        expect({ name, at, found: problems.length > 0 }).toEqual({ name, at, found: true });
      }
    }
  });

  test('does not verify when a part was taken out, renamed, doubled or put in', async () => {
    const parts = await unpack();
    for (const { name } of parts) expect(await repack(parts.filter((part) => part.name !== name))).not.toEqual([]);
    const [first = { name: '', content: Buffer.alloc(0) }] = parts.slice(1);
    expect(await repack([...parts, first])).toEqual([`${first.name} is there twice`]);
    expect(await repack([...parts, { name: 'notes.txt', content: Buffer.from('x') }])).toEqual([
      'notes.txt is not in the manifest',
    ]);
    expect(await repack([...parts.slice(0, -1)])).toEqual(['none of the public keys signed the manifest']);
    expect(await repack(parts)).toEqual([]);
  });

  test('does not verify under another key', async () => {
    const { publicKey: other } = generateKeyPairSync('ed25519');
    const { problems } = await verifyEvidence(createReadStream(archive), [other]);
    expect(problems).toEqual(['none of the public keys signed the manifest']);
  });

  test('whose signed manifest describes audit lines that nobody signed does not verify either', async () => {
    const parts = await unpack();
    const audit = parts.find(({ name }) => name === 'audit.jsonl') ?? { name: '', content: Buffer.alloc(0) };
    const forged = Buffer.from(audit.content.toString().replace('"d.2.1"', '"d.9.1"'));
    const manifest: Manifest = JSON.parse(String(parts.find(({ name }) => name === 'manifest.json')?.content));
    const sha256 = createHash('sha256').update(forged).digest('hex');
    const described = manifest.parts.map((part) => (part.name === 'audit.jsonl' ? { ...part, sha256 } : part));
    const bytes = Buffer.from(JSON.stringify({ ...manifest, parts: described }));
    const problems = await repack(
      parts.map(({ name, content }) => {
        if (name === 'audit.jsonl') return { name, content: forged };
        if (name === 'manifest.json') return { name, content: bytes };
        return { name, content: name === 'manifest.sig' ? Buffer.from(signManifest(bytes, signingKey)) : content };
      }),
    );
    expect(problems).toEqual([expect.stringMatching(/altered/)]);
  });
});

test('a recording that was changed before the archive was made is not what the signed trail says', async () => {
  const file = join(directory, 'recordings', '2026-11-22', 'S2.sprec');
  const { recorder } = recorderAt(join(directory, 'elsewhere'), clock, key);
  const forged = recorder.open({ id: 'S2', protocol: 'ssh', header: { started_at: '' } });
  await forged.close({ status: 'ok' });
  copyFileSync(join(directory, 'elsewhere', '2026-11-22', 'S2.sprec'), file);
  const again = join(directory, 'again.tar');
  await exportEvidence(options, createWriteStream(again));
  const { problems } = await verifyEvidence(createReadStream(again), [publicKey]);
  expect(problems).toEqual(['recordings/S2.sprec is not what the trail says was recorded']);
});

test('what is not there any more is named, not passed over', async () => {
  rmSync(join(directory, 'policies'), { recursive: true });
  const { index } = recorderAt(join(directory, 'nowhere'));
  const again = join(directory, 'again.tar');
  const { missing } = await exportEvidence(
    {
      auditFile,
      index,
      recordDirectory: directory,
      policyDirectory: join(directory, 'policies'),
      fromMs: Date.parse('2026-11-22T09:00:00Z'),
      toMs: clock.ms,
      nowMs: clock.ms,
      signingKey,
    },
    createWriteStream(again),
  );
  expect(missing).toHaveLength(6);
  expect((await verifyEvidence(createReadStream(again), [publicKey])).problems).toEqual([]);
});

test('evidence verify prints what it found, and fails when it does not hold', async () => {
  const pem = join(directory, 'public.pem');
  writeFileSync(pem, publicKey.export({ type: 'spki', format: 'pem' }));
  let out = '';
  const io = { stdout: { write: (text: string) => (out += text) }, stderr: { write: () => {} }, env: {} };
  expect(await run(['verify', archive, '--public-key', pem], io)).toBe(0);
  expect(out).toMatch(/verified {6}every part/);
  writeFileSync(archive, change(readFileSync(archive), 1000));
  expect(await run(['verify', archive, '--public-key', pem], io)).toBe(1);
  expect(out).toMatch(/NOT VERIFIED {2}audit\.jsonl was changed/);
  await expect(run(['forge'], io)).rejects.toThrow(/export or verify/);
  await expect(run(['export', '--config', 'x'], io)).rejects.toThrow(/--from/);
});
