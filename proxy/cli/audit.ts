import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { followAudit } from '../audit/follow.ts';
import {
  type Head,
  headMembers,
  isSigned,
  parseHead,
  readPublicKey,
  trailFiles,
  type Verification,
  verifyAudit,
} from '../audit/index.ts';
import { type AuditFilter, queryAudit } from '../audit/query.ts';
import { resolveSecret } from '../core/secret-ref.ts';
import { instantOf } from './instant.ts';
import { type Command, type Io, UsageError } from './io.ts';
import { printable } from './printable.ts';

const help = `sallyport audit verify --file FILE --public-key PEM… [--key REF] [--head HEADFILE] [--from-start] [--json]
sallyport audit head   --file FILE
sallyport audit tail   --file FILE [--lines N] [--follow] [FILTER…]
sallyport audit query  --file FILE [--lines N] [FILTER…]

FILTER: --subject ID, --upstream NAME, --session ID, --event NAME, --effect allow|deny|require_approval, --code CODE,
--since TIME, --until TIME (RFC 3339, or an age such as 90s, 15m, 12h or 7d). All that are given must match.
FILE is the trail being written; full files next to it are found by their names. REF is env:NAME or file:PATH.

verify  checks that no line was changed, taken out or put in, and with --public-key that the signed heads in it are the
        gateway's. --key, the key that seals lines, also proves those that no head covers yet. Lines missing at the end show
        only against HEADFILE, a head that was kept elsewhere (or --expect-seq N --expect-hash HEX).
        Exit code 0 when the trail holds, 1 when not.
head    prints the last signed head as JSON, to be kept elsewhere.
tail    prints the last lines (20); with --follow (-f) then those that are added, until it is interrupted.
query   prints the lines that match.
`;

/** How often a followed trail is looked at. */
const followMs = 200;

/** No subcommand of these reads the environment. */
type Output = Pick<Io, 'stdout' | 'stderr'>;

/** `sallyport audit`: 0 when it holds or was printed, 1 when the trail does not verify. */
export const run: Command = async (args, io) => {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h') {
    io.stdout.write(help);
    return 0;
  }
  const command = name === undefined || !Object.hasOwn(commands, name) ? undefined : commands[name];
  if (command === undefined) throw new UsageError(`audit needs verify, head, tail or query\n\n${help}`);
  return command(rest, io);
};

const commands: Readonly<Record<string, (args: string[], io: Output) => Promise<number>>> = {
  verify,
  head,
  tail,
  query,
};

async function verify(args: string[], io: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      file: { type: 'string' },
      key: { type: 'string' },
      'expect-seq': { type: 'string' },
      'public-key': { type: 'string', multiple: true },
      head: { type: 'string' },
      'expect-hash': { type: 'string' },
      'from-start': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const { key, 'public-key': pems } = values;
  if (key === undefined && pems === undefined)
    throw new UsageError(`audit verify needs --public-key PEM or --key REF\n\n${help}`);
  const files = filesOf(values.file);
  const publicKeys = pems && (await Promise.all(pems.map(async (file) => readPublicKey(await readFile(file, 'utf8')))));
  const expected =
    values.head === undefined
      ? expectedHead(values['expect-seq'], values['expect-hash'])
      : await keptHead(values.head, publicKeys);
  const result = await verifyAudit(files, {
    key: key === undefined ? undefined : await resolveSecret(key),
    publicKeys,
    expected,
  });
  const complete = !values['from-start'] || result.startsAfter === 0;
  io.stdout.write(values.json ? `${JSON.stringify(result)}\n` : report(result, files));
  if (!complete)
    io.stderr.write(`sallyport: the trail starts behind line ${result.startsAfter}, not at its beginning\n`);
  return result.ok && complete ? 0 : 1;
}

function expectedHead(seq: string | undefined, hash: string | undefined): Head | undefined {
  if (seq === undefined && hash === undefined) return undefined;
  if (seq === undefined || hash === undefined || !/^\d+$/.test(seq) || !/^[0-9a-f]{64}$/.test(hash))
    throw new UsageError('--expect-seq and --expect-hash belong together: a number and 64 hex digits');
  return { seq: Number(seq), hash };
}

/** The head in the last line of a file: what `audit head` printed, or a line of the trail. */
async function keptHead(file: string, publicKeys: readonly KeyObject[] | undefined): Promise<Head> {
  const last = (await readFile(file, 'utf8')).trimEnd().split('\n').at(-1) ?? '';
  const kept = parseHead(JSON.parse(last));
  if (kept === undefined) throw new Error(`${file} holds no head`);
  if (publicKeys !== undefined && !isSigned(kept, publicKeys))
    throw new Error(`${file}: none of the public keys signed this head`);
  return kept;
}

async function head(args: string[], io: Output): Promise<number> {
  const { values } = parseArgs({ args, options: { file: { type: 'string' } } });
  for (const file of filesOf(values.file).toReversed()) {
    let last: string | undefined;
    for await (const line of queryAudit([file], { event: 'head' })) last = line;
    const found = last === undefined ? undefined : parseHead(JSON.parse(last));
    if (found === undefined) continue;
    io.stdout.write(`${JSON.stringify(headMembers(found))}\n`);
    return 0;
  }
  throw new Error('no head of this trail is signed: audit.signing_key is missing in the configuration');
}

function report(result: Verification, files: readonly string[]): string {
  const { defect, head } = result;
  const lines: string[] = [];
  if (defect !== undefined) {
    const place = defect.line > 0 ? `${defect.file}:${defect.line}` : defect.file;
    lines.push(`NOT VERIFIED  ${place}: ${defect.message} (${defect.kind})`);
    lines.push(
      head ? `              verified up to line ${head.seq} (hash ${head.hash})` : '              nothing verified',
    );
  } else {
    lines.push(
      `verified      ${result.lines} lines in ${files.length} file(s), up to line ${head?.seq} (hash ${head?.hash})`,
    );
  }
  if (result.ok && result.heads > 0) {
    const { heads, unsignedLines } = result;
    lines.push(
      `signed        ${heads} head(s); behind the last of them ${unsignedLines} line(s) that no signature covers`,
    );
  }
  if (result.startsAfter > 0)
    lines.push(`note          starts behind line ${result.startsAfter}: earlier files are not here`);
  if (result.tornLines > 0)
    lines.push(`note          ${result.tornLines} line(s) cut off by a crash or a full disk, accounted for`);
  if (result.tornTailBytes > 0)
    lines.push(`warning       the last ${result.tornTailBytes} bytes are a cut-off line: nothing proves them`);
  if (result.ok && !result.closed)
    lines.push('note          not closed: still being written, ended by a crash, or cut short');
  return `${lines.map(printable).join('\n')}\n`;
}

const text = { type: 'string' } as const;
const filterOptions = {
  subject: text,
  upstream: text,
  session: text,
  event: text,
  effect: text,
  code: text,
  since: text,
  until: text,
};

async function tail(args: string[], io: Output): Promise<number> {
  const follow = { type: 'boolean', short: 'f', default: false } as const;
  const { values } = parseArgs({ args, options: { ...filterOptions, file: text, lines: text, follow } });
  const filter = filterOf(values);
  const count = countOf(values.lines) ?? 20;
  // The file being written is shortest right after a rotation; the one before it then has the lines that are wanted.
  const files = filesOf(values.file).slice(-2);
  if (!values.follow) {
    await printLast(queryAudit(files, filter), count, io);
    return 0;
  }
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  const from = Math.max(await lastSeq(files), await printLast(queryAudit(files, filter), count, io));
  const { signal } = interrupted;
  const wait = () => sleep(followMs, undefined, { signal }).catch(() => {});
  for await (const line of followAudit(values.file ?? '', { from, filter, signal, wait })) print(line, io);
  return 0;
}

async function query(args: string[], io: Output): Promise<number> {
  const { values } = parseArgs({ args, options: { ...filterOptions, file: text, lines: text } });
  const matching = queryAudit(filesOf(values.file), filterOf(values));
  const count = countOf(values.lines);
  if (count !== undefined) await printLast(matching, count, io);
  else for await (const line of matching) print(line, io);
  return 0;
}

function filterOf(values: { readonly [Name in keyof typeof filterOptions]?: string | undefined }): AuditFilter {
  const { subject, upstream, session, event, effect, code, since, until } = values;
  return {
    ...{ subject, upstream, session, event, effect, code },
    sinceMs: since === undefined ? undefined : instantOf('--since', since),
    untilMs: until === undefined ? undefined : instantOf('--until', until),
  };
}

function print(line: string, io: Output): void {
  io.stdout.write(`${printable(line)}\n`);
}

async function printLast(lines: AsyncIterable<string>, count: number, io: Output): Promise<number> {
  const last: string[] = [];
  for await (const line of lines) {
    last.push(line);
    if (last.length > count) last.shift();
  }
  for (const line of last) print(line, io);
  return seqOf(last.at(-1));
}

/** The last line that was there before anything was printed. */
async function lastSeq(files: readonly string[]): Promise<number> {
  let last: string | undefined;
  for await (const line of queryAudit(files.slice(-1), {})) last = line;
  return seqOf(last);
}

function seqOf(line: string | undefined): number {
  return line === undefined ? 0 : Number(JSON.parse(line).seq);
}

function filesOf(file: string | undefined): string[] {
  if (file === undefined) throw new UsageError(`audit needs --file FILE\n\n${help}`);
  const files = trailFiles(file);
  if (files.length === 0) throw new Error(`there is no trail at ${file}`);
  return files;
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1 || count > 100_000)
    throw new UsageError('--lines is a number up to 100000');
  return count;
}
