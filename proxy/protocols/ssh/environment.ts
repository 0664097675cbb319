/** The variables a client may set for its commands: how text is written, never what runs. */

const acceptable: ReadonlyMap<string, RegExp> = new Map([
  ['LANG', /^[A-Za-z0-9_.@-]{1,64}$/],
  ['COLORTERM', /^[a-z0-9]{1,16}$/],
  ['NO_COLOR', /^[a-z0-9]{0,16}$/],
  // What git's own client asks its server for.
  ['GIT_PROTOCOL', /^version=[012]$/],
  ...['ADDRESS', 'ALL', 'COLLATE', 'CTYPE', 'IDENTIFICATION', 'MEASUREMENT', 'MESSAGES', 'MONETARY', 'NAME'].map(
    (category) => [`LC_${category}`, /^[A-Za-z0-9_.@-]{1,64}$/] as const,
  ),
  ...['NUMERIC', 'PAPER', 'TELEPHONE', 'TIME'].map(
    (category) => [`LC_${category}`, /^[A-Za-z0-9_.@-]{1,64}$/] as const,
  ),
]);

/** Whether a variable may be handed on. Locale names are files to the C library: a path in one is refused. */
export function isHarmlessVariable(name: string, value: string): boolean {
  return acceptable.get(name)?.test(value) === true && !value.includes('..');
}
