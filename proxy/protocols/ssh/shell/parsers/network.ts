/** Network tools with more to say than a usage line can. */
import type { Call } from '../call.ts';
import { interpretTable } from '../interpret.ts';
import { anyGiven, parseOptions } from '../options.ts';
import type { ToolSpec } from '../tools/spec.ts';

/** A host, and a text for the shell there; without one it is that shell. */
export function ssh(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  if (!call.peeled) call.note('interactive_shell');
}

/** What cannot be printed again stays incomplete; where it goes is told all the same. */
export function opaqueHost(call: Call, spec: ToolSpec): void {
  call.note('interactive');
  const words = call.args.slice(1).filter(({ value, dynamic }) => dynamic || !value.startsWith('-'));
  const last = words.at(-1);
  const match = /^(?:\w+:\/\/)?(?:[^@/]*@)?(\[[0-9a-f:]+\]|[\w.-]+)/i.exec(
    last === undefined || last.dynamic ? '' : last.value,
  );
  call.destination(match?.[1] ?? '', String(spec.defaultPort ?? ''));
}

/** `--delete` takes away what is at the other end, and options a path brings along are for ssh. */
export function rsync(call: Call, spec: ToolSpec, from: number): void {
  if (call.args.some(({ value }) => /^rsync:|::/i.test(value))) call.note('destination');
  const names = interpretTable(call, spec, from);
  if (!names.some((name) => name.startsWith('--delete'))) return;
  for (const { access, path } of [...call.files]) if (access === 'write') call.file(path, 'delete', true);
}

/** `-O` names files by the URL; texts that mean other URLs are not expanded. */
export function curl(call: Call, spec: ToolSpec, from: number): void {
  const names = interpretTable(call, spec, from);
  if (anyGiven('-O --remote-name -J', names)) call.file('.', 'write', true);
  // A format can write files of its own, and names of files hold lists, passwords and modules.
  const odd = parseOptions(call.args, spec, from).uses.some(
    ({ role, value }) => role === 'read' && /[{}[\]:]/.test(value),
  );
  if (odd || call.args.length < 2 || call.args.some(({ value }) => value.includes('%output')))
    call.unknown('unknown_operand');
}

/** Without `-O` it writes a file whose name the server may choose. */
export function wget(call: Call, spec: ToolSpec, from: number): void {
  const names = interpretTable(call, spec, from);
  if (!anyGiven('-O --output-document --spider -P --directory-prefix', names)) call.file('.', 'write', true);
}

/** Options of which no version runs anything; the port is the last word. */
export function nc(call: Call, spec: ToolSpec, from: number): void {
  const at = call.args.findIndex(
    ({ value }, index) => index >= from && !/^-/.test(value) && !/^-[wi]$/.test(call.args[index - 1]?.value ?? ''),
  );
  const port = call.text(at + 1);
  const known = port !== undefined && /^\d{1,5}$/.test(port) ? { ...spec, defaultPort: Number(port) } : spec;
  interpretTable(call, known, from);
  if (port !== undefined && !/^\d{1,5}$/.test(port)) call.note('destination');
}

/** Only as a report; what it shows on a terminal takes keys. */
export function mtr(call: Call, spec: ToolSpec, from: number): void {
  const names = interpretTable(call, spec, from);
  if (!anyGiven('-r -w --report --report-wide', names)) call.note('interactive');
}

/** A name is a way out by itself: whoever answers for it reads it. */
export function dns(call: Call): void {
  for (let index = 1; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined) continue;
    if (word.startsWith('@')) call.destination(word.slice(1), '53');
    else if (/^\+[a-z0-9=]+$/.test(word) || /^-(?:4|6|a|v|x|r|t|type=\w+|query=\w+)$/.test(word)) {
      // A type; the name behind `-x` is one like any other.
      if (word === '-t' && !/^\w+$/.test(call.text(++index) ?? 'a')) call.unknown('unknown_operand');
    } else if (!/^[\w.:-]+$/.test(word) || word.startsWith('-')) call.unknown('unknown_option');
    else if (call.name === 'dig' && /^(?:A|AAAA|MX|NS|TXT|SOA|CNAME|PTR|SRV|CAA|ANY|DS|DNSKEY)$/i.test(word)) continue;
    else call.destination(word, '53');
  }
  if (call.name === 'nslookup' && call.args.length < 2) call.note('interactive');
}

/** What it says to the database is a language of its own. */
export function database(call: Call, spec: ToolSpec, from: number): void {
  const { destinations } = call.engine.report;
  const before = destinations.length;
  interpretTable(call, spec, from);
  for (const { value } of call.args) {
    const match =
      /^(?:postgres(?:ql)?|mongodb(?:\+srv)?|rediss?|mysql):\/\/(?:[^@/]*@)?(\[[0-9a-f:]+\]|[\w.-]+)(?::(\d+))?/i.exec(
        value,
      );
    const host = match ?? /(?:^|\s)host(?:addr)?=([\w.:-]+)/.exec(value);
    if (host !== null) call.destination(host[1] ?? '', host[2] ?? String(spec.defaultPort ?? ''));
  }
  if (destinations.length === before) call.destination('localhost', String(spec.defaultPort ?? ''));
}

/** `s_client -connect host:port`; what else it does is not looked at. */
export function openssl(call: Call): void {
  for (let index = 1; index < call.args.length; index++) {
    if (!/^-(?:connect|proxy|url)$/.test(call.args[index - 1]?.value ?? '')) continue;
    const match = /^(?:\w+:\/\/)?(\[[0-9a-f:]+\]|[\w.-]+)(?::(\d+))?/i.exec(call.text(index) ?? '');
    call.destination(match?.[1] ?? '', match?.[2]);
  }
}

/** Addresses such as `TCP:host:port`. */
export function socat(call: Call): void {
  for (const { value, dynamic } of call.args.slice(1)) {
    const match = /^(?:tcp|udp|openssl|ssl|socks|sctp)[46]?(?:-connect)?(?:4a)?:(\[[0-9a-f:]+\]|[\w.-]+):(\d+)/i.exec(
      dynamic ? '' : value,
    );
    if (match !== null) call.destination(match[1] ?? '', match[2]);
    else if (dynamic) call.destination('', undefined);
  }
}
