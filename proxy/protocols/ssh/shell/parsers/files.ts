/** Tools that touch files under other names than those they are given. */
import type { Call } from '../call.ts';
import { applyOptions, interpretTable } from '../interpret.ts';
import { anyGiven, type ParsedOptions, parseOptions } from '../options.ts';
import { applyUses } from '../roles.ts';
import type { ToolSpec } from '../tools/spec.ts';

const basename = (path: string): string => path.replace(/\/+$/, '').replace(/^.*\//, '');

/** What options alone mean, and the operands that are known. */
function options(call: Call, spec: ToolSpec, from: number): { parsed: ParsedOptions; operands: readonly string[] } {
  const parsed = parseOptions(call.args, spec, from);
  applyOptions(call, spec, parsed);
  applyUses(call, spec, parsed.uses, parsed.names);
  return { parsed, operands: parsed.operands.flatMap((index) => call.text(index) ?? []) };
}

/**
 * `ln target`, `ln target name`, `ln target… folder`: what else a text does with such a name, it does with something
 * else. A relative target of a symbolic link is looked up where the link is.
 */
export function ln(call: Call, spec: ToolSpec, from: number): void {
  const { parsed, operands } = options(call, spec, from);
  const folder = anyGiven('-t --target-directory', parsed.names);
  const place = folder ? parsed.uses.find(({ role }) => role === 'write')?.value : operands.at(-1);
  const targets = folder || operands.length === 1 ? operands : operands.slice(0, -1);
  if (targets.length === 0 || place === undefined || (call.name === 'link' && operands.length !== 2)) {
    call.unknown('unknown_operand');
    return;
  }
  for (const target of targets) call.file(target, 'metadata');
  const link = !folder && operands.length === 1 ? basename(place) : place;
  if (!folder) call.file(link, 'write');
  call.link(link);
  const relative = [...operands, link].some((path) => !path.startsWith('/'));
  const symbolic = anyGiven('-s --symbolic', parsed.names) && !anyGiven('-r --relative', parsed.names);
  if (symbolic && relative) call.note('linked_path');
}

const suffixes: Readonly<Record<string, string>> = {
  gzip: '.gz',
  gunzip: '.gz',
  zcat: '.gz',
  bzip2: '.bz2',
  bunzip2: '.bz2',
  xz: '.xz',
  unxz: '.xz',
};

/** A file becomes one of another name. Where a name lacks the suffix, gzip looks for others that have one. */
export function compress(call: Call, spec: ToolSpec, from: number): void {
  const { parsed, operands } = options(call, spec, from);
  const suffix = suffixes[call.name] ?? '';
  const lists = anyGiven('-l --list -t --test', parsed.names);
  const unpacks = !/^(?:gzip|bzip2|xz)$/.test(call.name) || anyGiven('-d --decompress', parsed.names);
  const reads = unpacks || lists;
  const inPlace = !lists && call.name !== 'zcat' && !anyGiven('-c --stdout', parsed.names);
  for (const path of operands) {
    if (path === '-') continue;
    call.file(path, 'read');
    const whole = path.endsWith(suffix) && path.length > suffix.length;
    if (!inPlace) {
      if (reads && suffix === '.gz' && !whole)
        for (const end of ['.gz', '.z', '-z', '.Z']) call.file(path + end, 'read');
      continue;
    }
    if (reads && !whole) call.unknown('unknown_operand');
    call.file(reads ? path.slice(0, -suffix.length) : path + suffix, 'write');
    if (!anyGiven('-k --keep', parsed.names)) call.file(path, 'delete');
  }
}

/** The name is made up here, in `/tmp` unless the template says where. */
export function mktemp(call: Call, spec: ToolSpec, from: number): void {
  const { parsed, operands } = options(call, spec, from);
  const [template, ...more] = operands;
  const folder = parsed.uses.find(({ role }) => role === 'write')?.value;
  const suffix = parsed.uses.find(({ role }) => role === 'text')?.value ?? '';
  if (more.length > 0 || suffix.includes('/') || parsed.uses.length > 2) call.unknown('unknown_operand');
  if (template === undefined) {
    if (folder === undefined) call.file('/tmp', 'write');
    return;
  }
  const within = folder ?? (anyGiven('-t', parsed.names) ? '/tmp' : undefined);
  call.file(within === undefined ? template + suffix : `${within}/${template}${suffix}`, 'write');
}

/** `@file` is a file of options to some tools, and `+x` an option to others. */
export function unmarked(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  if (call.args.slice(from).some(({ value }) => /^[@+]/.test(value))) call.unknown('unknown_operand');
}

/** Dates may begin with a time zone, which is a file: `TZ="/etc/x" now`. */
export function touch(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  if (call.args.some(({ value }) => value.includes('TZ='))) call.unknown('unknown_operand');
}

/** What would go to a terminal goes to a file, here or at home. */
export function nohup(call: Call, spec: ToolSpec, from: number): void {
  if (call.frame.pty) {
    const home = call.state.variables.get('HOME');
    call.file('nohup.out', 'write');
    if (home === undefined) call.note('unknown_variable');
    else call.file(`${home}/nohup.out`, 'write');
  }
  interpretTable(call, spec, from);
}
