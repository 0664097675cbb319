import { parseArgs } from 'node:util';
import { trailFiles, type Verification, verifyAudit } from '../audit/index.ts';
import { queryAudit } from '../audit/query.ts';
import { resolveSecret } from '../core/secret-ref.ts';
import { type Command, type Io, UsageError } from './io.ts';
import { printable } from './printable.ts';

const help = `sallyport audit verify --file FILE --key REF [--expect-seq N --expect-mac HEX] [--from-start] [--json]
sallyport audit tail   --file FILE [--lines N]
sallyport audit query  --file FILE [--subject ID] [--effect allow|deny|require_approval] [--code CODE]
                       [--event NAME] [--session ID] [--since TIME] [--lines N]

FILE is the trail being written; full files next to it are found by their names. REF is env:NAME or file:PATH.

verify  checks every line's seal, and that none is missing or out of order. Exit code 0 when the trail holds, 1 when not.
        Lines missing at the end show only against --expect-seq and --expect-mac, a head that was kept elsewhere.
tail    prints the last lines (20).
query   prints the lines that match. TIME is RFC 3339, or an age such as 90s, 15m, 12h or 7d.
`;

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
  if (command === undefined) throw new UsageError(`audit needs verify, tail or query\n\n${help}`);
  return command(rest, io);
};

const commands: Readonly<Record<string, (args: string[], io: Output) => Promise<number>>> = { verify, tail, query };

async function verify(args: string[], io: Output): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      file: { type: 'string' },
      key: { type: 'string' },
      'expect-seq': { type: 'string' },
      'expect-mac': { type: 'string' },
      'from-start': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.key === undefined) throw new UsageError(`audit verify needs --key REF\n\n${help}`);
  const files = filesOf(values.file);
  const expected = expectedHead(values['expect-seq'], values['expect-mac']);
  const result = await verifyAudit(files, await resolveSecret(values.key), expected);
  const complete = !values['from-start'] || result.startsAfter === 0;
  io.stdout.write(values.json ? `${JSON.stringify(result)}\n` : report(result, files));
  if (!complete)
    io.stderr.write(`sallyport: the trail starts behind line ${result.startsAfter}, not at its beginning\n`);
  return result.ok && complete ? 0 : 1;
}

function expectedHead(seq: string | undefined, mac: string | undefined): { seq: number; mac: string } | undefined {
  if (seq === undefined && mac === undefined) return undefined;
  if (seq === undefined || mac === undefined || !/^\d+$/.test(seq) || !/^[0-9a-f]{64}$/.test(mac))
    throw new UsageError('--expect-seq and --expect-mac belong together: a number and 64 hex digits');
  return { seq: Number(seq), mac };
}

function report(result: Verification, files: readonly string[]): string {
  const { defect, head } = result;
  const lines: string[] = [];
  if (defect !== undefined) {
    const place = defect.line > 0 ? `${defect.file}:${defect.line}` : defect.file;
    lines.push(`NOT VERIFIED  ${place}: ${defect.message} (${defect.kind})`);
    lines.push(
      head ? `              verified up to line ${head.seq} (mac ${head.mac})` : '              nothing verified',
    );
  } else {
    lines.push(
      `verified      ${result.lines} lines in ${files.length} file(s), up to line ${head?.seq} (mac ${head?.mac})`,
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

async function tail(args: string[], io: Output): Promise<number> {
  const { values } = parseArgs({ args, options: { file: { type: 'string' }, lines: { type: 'string' } } });
  const count = countOf(values.lines) ?? 20;
  // The file being written is shortest right after a rotation; the one before it then has the lines that are wanted.
  await printLast(queryAudit(filesOf(values.file).slice(-2), {}), count, io);
  return 0;
}

async function query(args: string[], io: Output): Promise<number> {
  const text = { type: 'string' } as const;
  const options = {
    file: text,
    subject: text,
    effect: text,
    code: text,
    event: text,
    session: text,
    since: text,
    lines: text,
  };
  const { values } = parseArgs({ args, options });
  const { file, since, lines, ...filter } = values;
  const matching = queryAudit(filesOf(file), {
    ...filter,
    sinceMs: since === undefined ? undefined : instantOf(since),
  });
  const count = countOf(lines);
  if (count !== undefined) await printLast(matching, count, io);
  else for await (const line of matching) io.stdout.write(`${printable(line)}\n`);
  return 0;
}

async function printLast(lines: AsyncIterable<string>, count: number, io: Output): Promise<void> {
  const last: string[] = [];
  for await (const line of lines) {
    last.push(line);
    if (last.length > count) last.shift();
  }
  for (const line of last) io.stdout.write(`${printable(line)}\n`);
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

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function instantOf(text: string): number {
  const age = /^(\d+)([smhd])$/.exec(text);
  const instant = age === null ? Date.parse(text) : Date.now() - Number(age[1]) * (unitsMs[age[2] ?? ''] ?? Number.NaN);
  if (Number.isNaN(instant)) throw new UsageError('--since is a time (2026-01-31T09:00:00Z) or an age (15m)');
  return instant;
}
