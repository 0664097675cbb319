/** A command that is nothing but a shell, whose script comes over the channel. */
import type { Statement } from 'unbash';
import type { ShellClassification } from './classification.ts';
import type { Report } from './report.ts';

const shellNames = new Set(['sh', 'bash', 'dash', 'ash', 'ksh']);

/**
 * @param statements of the whole text
 * @param report of the walk over it
 * @returns the positional parameters of the script to come; undefined when it is anything but one plain shell
 */
export function scriptFromInput(statements: readonly Statement[], report: Report): ShellClassification['script'] {
  const [statement] = statements;
  const [command] = report.commands;
  if (statements.length !== 1 || statement?.background || statement?.command.type !== 'Command') return undefined;
  if (statement.command.prefix.length > 0 || statement.command.redirects.length > 0) return undefined;
  if (command === undefined || report.commands.length !== 1 || report.incomplete.join() !== 'shell_from_stdin')
    return undefined;
  if (command.dynamic || command.wrappers.length > 0 || !shellNames.has(command.name)) return undefined;
  const [, ...words] = command.argv;
  while (/^--(?:norc|noprofile|posix)$/.test(words[0] ?? '')) words.shift();
  if (words.length === 0) return { parameters: [] };
  if (words[0] !== '-s') return undefined;
  return { parameters: words.slice(words[1] === '--' ? 2 : 1) };
}
