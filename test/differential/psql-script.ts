/**
 * Splits a psql script into statements, as far as PostgreSQL's regression scripts need it: quotes, dollar quotes,
 * comments, parentheses, SQL-standard function bodies, inline COPY data. Meta-commands are dropped.
 */

/** The statements of a script, in order, without their semicolons. */
export function statementsOf(script: string): string[] {
  const statements: string[] = [];
  const lines = script.split('\n');
  let pending = '';
  let copying = false;
  for (const line of lines) {
    if (copying) {
      copying = line !== '\\.';
      continue;
    }
    if (pending.trim() === '' && /^\s*\\/.test(line)) continue;
    pending += `${line}\n`;
    const { complete, rest } = split(pending);
    statements.push(...complete);
    pending = rest;
    copying = complete.some((each) => /^\s*copy\b[^;]*\bfrom\s+stdin\b/is.test(each));
  }
  return statements;
}

function split(text: string): { complete: string[]; rest: string } {
  const complete: string[] = [];
  let start = 0;
  for (const end of ends(text)) {
    const statement = text.slice(start, end.at).trim();
    if (statement !== '') complete.push(statement);
    start = end.next;
  }
  return { complete, rest: text.slice(start) };
}

const skippers: readonly RegExp[] = [
  /--[^\n]*/y,
  /\/\*(?:[^*]|\*(?!\/))*\*\//y,
  /[eE]'(?:[^'\\]|\\.|'')*'/sy,
  /'(?:[^']|'')*'/y,
  /"(?:[^"]|"")*"/y,
  /\$([A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$.*?\$\1\$/sy,
];

/** Where statements end: at a semicolon, or at a backslash command after one. An unfinished quote ends nothing. */
function* ends(text: string): Generator<{ at: number; next: number }> {
  let at = 0;
  let depth = 0;
  let blocks = 0;
  let words: string[] = [];
  while (at < text.length) {
    const skipped = skip(text, at);
    if (skipped === undefined) return;
    if (skipped > at) {
      at = skipped;
      continue;
    }
    const word = /[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*/y;
    word.lastIndex = at;
    const found = word.exec(text)?.[0].toLowerCase();
    if (found !== undefined) {
      if (words.length < 4) words.push(found);
      const defines = words[0] === 'create' && words.some((each) => each === 'function' || each === 'procedure');
      if (defines && found === 'begin') blocks++;
      else if (blocks > 0 && found === 'case') blocks++;
      else if (blocks > 0 && found === 'end') blocks--;
      at += found.length;
      continue;
    }
    const character = text[at];
    if (character === '(') depth++;
    else if (character === ')') depth = Math.max(0, depth - 1);
    const semicolon = character === ';' && depth === 0 && blocks === 0;
    if (semicolon || character === '\\') {
      const next = semicolon ? at + 1 : lineEnd(text, at);
      yield { at, next };
      words = [];
      depth = 0;
      at = next;
    } else at++;
  }
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end + 1;
}

/** Past a quote or comment that begins here; `at` when none does; `undefined` when one does and is not finished. */
function skip(text: string, at: number): number | undefined {
  for (const pattern of skippers) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) return at + found[0].length;
  }
  const opens =
    text[at] === "'" || text[at] === '"' || text.startsWith('/*', at) || /^\$\w*\$/.test(text.slice(at, at + 80));
  return opens && !/[\w$]/.test(text[at - 1] ?? ' ') ? undefined : at;
}
