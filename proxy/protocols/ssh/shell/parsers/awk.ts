/** What an awk program may reach besides the files it is given. Reads only as much as it needs to say "nothing". */

import { hasPlainBrackets } from './brackets.ts';

/** Words for running commands, reading other files, and the variables through which either is had. */
const reaching = /system|getline|extension|ARGV|ARGC|ENVIRON|PROCINFO|SYMTAB|FUNCTAB|@|\\\n/;
const keywords = new Set([
  'print',
  'printf',
  'return',
  'in',
  'if',
  'while',
  'else',
  'do',
  'delete',
  'exit',
  'for',
  'case',
]);

/**
 * @param program the text of an awk program
 * @returns `code` when it may run, read or write something; undefined when it only filters
 */
export function awkDoubt(program: string): string | undefined {
  if (reaching.test(program)) return 'code';
  const code = withoutTexts(program);
  if (code === undefined) return 'code';
  if (code.replaceAll('||', '').includes('|')) return 'code';
  for (const statement of code.split(/[;{}]/)) {
    if (/\bprintf?\b[\s\S]*>/.test(statement)) return 'code';
  }
  return undefined;
}

/**
 * The program with its strings and regular expressions taken out; undefined when a slash could be read in two ways
 * and it matters.
 */
function withoutTexts(program: string): string | undefined {
  let code = '';
  let divides = false;
  let operand = false;
  let depth = 0;
  for (let at = 0; at < program.length; ) {
    const char = program[at] ?? '';
    const token = /^(?:[A-Za-z_]\w*|[\d.]+)/.exec(program.slice(at, at + 64))?.[0];
    if (token !== undefined) {
      code += token;
      at += token.length;
      operand = !keywords.has(token);
    } else if (char === '"' || (char === '/' && !operand)) {
      const end = endOfText(program, at, char);
      if (end === undefined) return undefined;
      code += char === '"' ? '""' : '//';
      at = end;
      operand = true;
    } else if (char === '#') {
      // A comment hides what follows from us, and a misread one what does not.
      return undefined;
    } else {
      if (char === '/') divides = true;
      if (char === '(') depth++;
      if (char === ')') depth--;
      // Some awks read on behind it, and others do not: what a slash is depends on it.
      if (char === '\n' && depth > 0) return undefined;
      if (!/[ \t]/.test(char)) operand = char === ')' || char === ']' || (operand && /[+-]/.test(char));
      code += char;
      at++;
    }
  }
  return divides && /[|>"]/.test(program) ? undefined : code;
}

/** Behind the end of a string or expression that begins here, where every awk sees it. */
function endOfText(program: string, from: number, end: string): number | undefined {
  for (let at = from + 1; at < program.length; at++) {
    const char = program[at];
    if (char === '\\') at++;
    else if (char === '\n') return undefined;
    else if (char === end) {
      return end === '/' && !hasPlainBrackets(program.slice(from + 1, at)) ? undefined : at + 1;
    }
  }
  return undefined;
}
