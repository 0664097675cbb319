/** How the demo looks: titles, tables, colours where the terminal has them. */

const coloured = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);

/** Colours; nothing when the output is not a terminal. */
export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const cyan = paint(36);

/** Writes one line. */
export function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** A step begins. */
export function heading(title: string, why: string): void {
  say(`\n${bold(title)}  ${dim(why)}`);
}

/** A chapter cannot be told here. */
export function leftOut(title: string, why: string): void {
  heading(title, 'This chapter is left out.');
  say(`  ${why}`);
}

/** What somebody typed. */
export function said(who: string, line: string): void {
  say(`  ${cyan(who.padEnd(7))} ${line.replaceAll('\n', `\n${' '.repeat(10)}`)}`);
}

/** What a program printed. */
export function output(text: string): void {
  if (text.trim() !== '') say(text.replaceAll('\r', '').trimEnd().replace(/^/gm, ' '.repeat(10)));
}

/** Rows as a table of at most `most` of them, indented. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[], most = 5): string {
  const shown = rows.slice(0, most);
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...shown.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    `    ${cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd()}`;
  const more = rows.length > most ? [`    … ${rows.length - most} more`] : [];
  return [dim(line(columns)), ...shown.map(line), ...more].join('\n');
}
