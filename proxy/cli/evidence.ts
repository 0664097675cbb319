import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { readPublicKey, readSigningKey } from '../audit/index.ts';
import { loadConfig } from '../config.ts';
import { resolveSecret } from '../core/secret-ref.ts';
import { RecordingIndex } from '../record/index.ts';
import { policyArchiveOf } from '../wiring/evidence.ts';
import { exportEvidence } from './evidence/export.ts';
import { verifyEvidence } from './evidence/verify.ts';
import { instantOf } from './instant.ts';
import { type Command, type Io, UsageError } from './io.ts';
import { printable } from './printable.ts';

const help = `sallyport evidence export --config FILE --from TIME --to TIME --out ARCHIVE
sallyport evidence verify ARCHIVE --public-key PEM…

export  writes one tar of what happened from one time up to another (RFC 3339, or an age such as 15m, 12h, 7d): the audit lines up
        to the first signed head behind, the approvals that they are about, the recordings of their sessions as they are
        stored, every bundle and data document that was in force, and a manifest signed with audit.signing_key.
verify  holds all of that against the manifest and the signed heads, with the public key alone. Exit code 0 when it holds, 1
        when not. Recordings are then read by: sallyport replay FILE --key REF.
`;

/** `sallyport evidence`: 0 when it was written or holds, 1 when it does not hold. */
export const run: Command = async (args, io) => {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h') {
    io.stdout.write(help);
    return 0;
  }
  if (name === 'export') return exportCommand(rest, io);
  if (name === 'verify') return verifyCommand(rest, io);
  throw new UsageError(`evidence needs export or verify\n\n${help}`);
};

async function exportCommand(args: string[], io: Io): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { config: { ...text, short: 'c' }, from: text, to: text, out: text } });
  const { config: configFile, from, to, out } = values;
  if (configFile === undefined || from === undefined || to === undefined || out === undefined)
    throw new UsageError(`evidence export needs --config, --from, --to and --out\n\n${help}`);
  const [fromMs, toMs] = [instantOf('--from', from), instantOf('--to', to)];
  if (toMs <= fromMs) throw new UsageError('--to is not after --from');
  if (existsSync(out)) throw new Error(`${out} exists already`);
  const config = await loadConfig(configFile);
  const { signingKey } = config.audit;
  if (signingKey === undefined) throw new Error('evidence needs audit.signing_key in the configuration');
  try {
    const { parts, missing, audit } = await exportEvidence(
      {
        auditFile: config.audit.file,
        index: new RecordingIndex(config.record.directory, () => {}),
        recordDirectory: config.record.directory,
        policyDirectory: policyArchiveOf(config),
        fromMs,
        toMs,
        nowMs: Date.now(),
        signingKey: readSigningKey(Buffer.from(await resolveSecret(signingKey)).toString('utf8')),
      },
      createWriteStream(out, { flags: 'wx', mode: 0o600 }),
    );
    io.stdout.write(`${audit.lines} audit lines and ${parts.length - 1} other parts are in ${printable(out)}\n`);
    for (const name of missing) io.stderr.write(`sallyport: ${name} is not there any more\n`);
    return 0;
  } catch (error) {
    await rm(out, { force: true });
    throw error;
  }
}

async function verifyCommand(args: string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { 'public-key': { type: 'string', multiple: true } },
  });
  const [file] = positionals;
  const pems = values['public-key'];
  if (file === undefined || positionals.length > 1 || pems === undefined)
    throw new UsageError(`evidence verify needs one ARCHIVE and --public-key\n\n${help}`);
  const publicKeys = await Promise.all(pems.map(async (pem) => readPublicKey(await readFile(pem, 'utf8'))));
  const { problems, manifest, audit, unbound, undecided } = await verifyEvidence(createReadStream(file), publicKeys);
  const say = (text: string) => io.stdout.write(`${printable(text)}\n`);
  for (const problem of problems) say(`NOT VERIFIED  ${problem}`);
  if (manifest !== undefined) {
    say(`range         ${manifest.from} to ${manifest.to}, made ${manifest.created_at}`);
    say(
      `parts         ${manifest.parts.length}; ${manifest.audit.lines} audit lines behind line ${manifest.audit.start.seq}`,
    );
    for (const name of manifest.missing) say(`note          ${name} was not there any more when it was made`);
  }
  if (unbound > 0)
    say(`note          ${unbound} recording(s) whose end is not in these lines: only the manifest proves them`);
  if (undecided > 0)
    say(
      `note          ${undecided} use(s) of approvals without a decision: the gateway stopped first, or refused after all`,
    );
  if (audit !== undefined && audit.unsignedLines > 0)
    say(`warning       the last ${audit.unsignedLines} audit lines are behind the last signed head`);
  if (problems.length === 0) say('verified      every part is what the gateway wrote');
  return problems.length === 0 ? 0 : 1;
}
