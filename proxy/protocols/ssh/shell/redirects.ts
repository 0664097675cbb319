/** Redirections: which files they touch, and how every shell reads them alike. */
import type { HereDoc, HereString, Redirection, Redirect as RedirectNode } from 'unbash';
import { limits } from '../../../core/limits.ts';
import type { FileAccess, FileUse, Redirect } from './classification.ts';
import { socketDestination } from './destinations.ts';
import { canonicalPath } from './paths.ts';
import { delimiterFor, quote } from './quote.ts';
import type { Report } from './report.ts';
import { resolveBody, resolveFields, type WordContext } from './words.ts';

/** The redirections of one command. */
export interface Redirections {
  readonly redirects: readonly Redirect[];
  readonly files: readonly FileUse[];
  readonly printed: readonly string[];
  /** The text on standard input, when the last thing there is a here-document. */
  readonly input: string | undefined;
  readonly dynamic: boolean;
}

/** The redirections of a command that has none. */
export const noRedirections: Redirections = { redirects: [], files: [], printed: [], input: undefined, dynamic: false };

/** What a here-document leaves to be printed once the line that it is on has ended. */
export type Bodies = string[];

interface Gathered {
  redirects: Redirect[];
  files: FileUse[];
  printed: string[];
  input: string | undefined;
  dynamic: boolean;
}

/**
 * @param nodes in the order in which they are carried out
 * @param bodies takes the bodies of here-documents
 */
export function resolveRedirections(
  nodes: readonly Redirection[],
  context: WordContext,
  report: Report,
  bodies: Bodies,
): Redirections {
  if (nodes.length === 0) return noRedirections;
  const gathered: Gathered = { redirects: [], files: [], printed: [], input: undefined, dynamic: false };
  for (const node of nodes) {
    const fd = descriptor(node, report);
    if (node.type === 'Redirect') toFile(node, fd, gathered, context, report);
    else fromText(node, fd, gathered, context, report, bodies);
  }
  return gathered;
}

/** dash reads `10>x` as the word `10` and `>x`. */
function descriptor(node: Redirection, report: Report): number | undefined {
  if (node.descriptor === undefined) return undefined;
  if (node.descriptor.type === 'FileDescriptor' && node.descriptor.value <= 9) return node.descriptor.value;
  report.note('bash_only');
  return undefined;
}

const operations = { '>': 'write', '>|': 'write', '>>': 'append', '<': 'read', '<>': 'read_write' } as const;
const accesses = { write: ['write'], append: ['write'], read: ['read'], read_write: ['read', 'write'] } as const;
const symbols = { write: '>', append: '>>', read: '<', read_write: '<>' } as const;

function toFile(
  node: RedirectNode,
  explicitFd: number | undefined,
  gathered: Gathered,
  context: WordContext,
  report: Report,
): void {
  const target = singleWord(node.target, context, report);
  if (target === undefined) gathered.dynamic = true;
  const { operator } = node;
  if (operator === '<&' || (operator === '>&' && (target === undefined || /^(?:\d+|-)$/.test(target)))) {
    const fd = explicitFd ?? (operator === '<&' ? 0 : 1);
    if (target === undefined || !/^(?:\d|-)$/.test(target)) report.note('bash_only');
    if (fd === 0) gathered.input = undefined;
    gathered.redirects.push({ fd, op: 'duplicate', target: target ?? node.target?.text ?? '' });
    gathered.printed.push(`${fd}${operator}${target ?? ''}`);
    return;
  }
  const both = operator === '&>' || operator === '&>>' || operator === '>&';
  if (both && (explicitFd !== undefined || !context.bash)) report.note('bash_only');
  const op = operator === '&>>' ? 'append' : both ? 'write' : operations[operator as keyof typeof operations];
  const fd = explicitFd ?? (op === 'read' || op === 'read_write' ? 0 : 1);
  if (fd === 0) gathered.input = undefined;
  const path = target ?? node.target?.text ?? '';
  const canonical = openFile(path, target === undefined, accesses[op], gathered, context, report);
  gathered.redirects.push({ fd, op, target: canonical });
  gathered.printed.push(`${fd}${symbols[op]}${quote(path)}`);
  if (both) {
    gathered.redirects.push({ fd: 2, op: 'duplicate', target: '1' });
    gathered.printed.push('2>&1');
  }
}

/** The file behind a redirection, noted as used; a socket where bash makes one of it. */
function openFile(
  path: string,
  dynamic: boolean,
  used: readonly FileAccess[],
  gathered: Gathered,
  context: WordContext,
  report: Report,
): string {
  const socket = socketDestination(path, dynamic);
  if (socket !== undefined) {
    report.destinations.push(socket);
    report.note('dev_tcp');
    return path;
  }
  if (dynamic) return path;
  const { path: canonical, doubt } = canonicalPath(path, context.state.cwd);
  if (doubt !== undefined) report.note(doubt);
  // The same file under a longer name, which a shell may or may not treat as its own.
  if (socketDestination(canonical, false) !== undefined || path === '') report.note('dev_tcp');
  gathered.files.push(...used.map((access) => ({ path: canonical, access })));
  return canonical;
}

function fromText(
  node: HereDoc | HereString,
  explicitFd: number | undefined,
  gathered: Gathered,
  context: WordContext,
  report: Report,
  bodies: Bodies,
): void {
  const fd = explicitFd ?? 0;
  const body = node.type === 'HereDoc' ? hereDocument(node, context, report) : hereString(node, context, report);
  gathered.redirects.push({ fd, op: 'here', target: '' });
  if (body === undefined) {
    gathered.dynamic = true;
    return;
  }
  if (body.length > limits.shellWordLengthMax) report.note('too_much');
  if (fd === 0) gathered.input = body;
  const delimiter = delimiterFor(body);
  gathered.printed.push(`${fd}<<'${delimiter}'`);
  bodies.push(`${body}${delimiter}\n`);
}

function hereString(node: HereString, context: WordContext, report: Report): string | undefined {
  if (!context.bash) report.note('bash_only');
  const value = singleWord(node.target, context, report);
  return value === undefined ? undefined : `${value}\n`;
}

function hereDocument(node: HereDoc, context: WordContext, report: Report): string | undefined {
  const { body, delimiter, operator } = node;
  // Shells differ in what of a delimiter with a dollar sign is its quoting.
  if (delimiter === undefined || node.closing === undefined || /[$`]/.test(delimiter.text))
    report.note('here_document');
  const stripped = operator === '<<-' ? body.text.replaceAll(/^\t+/gm, '') : body.text;
  if (delimiter?.quoted || !/[$`\\]/.test(body.text)) return stripped;
  // Tabs are taken off before anything is expanded, also those that an expansion would hide.
  if (operator === '<<-') report.note('here_document');
  if (body.parts === undefined) return body.text.replaceAll(/\\([$`\\\n])/g, (_, char) => (char === '\n' ? '' : char));
  return resolveBody(body.parts, context);
}

function singleWord(word: RedirectNode['target'], context: WordContext, report: Report): string | undefined {
  if (word === undefined) {
    report.note('syntax');
    return undefined;
  }
  const fields = resolveFields(word, context);
  if (fields?.length === 1) return fields[0];
  report.note('dynamic_word');
  return undefined;
}
