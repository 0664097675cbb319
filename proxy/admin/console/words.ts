/** Numbers, times and codes as people say them. Pure. */

/** `1.2 MB` */
export function bytes(count: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = count;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** `3 statements`, `1 statement` */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}

/** How long, roughly: `12 s`, `4 min`, `3 h`, `2 days` */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** How long ago. */
export function ago(time: string, nowMs: number): string {
  const ms = nowMs - Date.parse(time);
  return ms < 5_000 ? 'just now' : `${span(ms)} ago`;
}

/** Since a session began: `1:02.345` */
export function stamp(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return `${minutes}:${((ms % 60_000) / 1000).toFixed(3).padStart(6, '0')}`;
}

const protocols: Readonly<Record<string, string>> = { postgres: 'PostgreSQL', ssh: 'SSH', http: 'HTTP', mcp: 'MCP' };

/** `PostgreSQL` */
export function protocol(name: string): string {
  return protocols[name] ?? name;
}

const effects: Readonly<Record<string, string>> = {
  allow: 'Allowed',
  deny: 'Refused',
  require_approval: 'Held for approval',
};

/** What was decided. */
export function effect(name: string): string {
  return effects[name] ?? name;
}

const states: Readonly<Record<string, string>> = {
  pending: 'Waiting',
  approved: 'Approved',
  denied: 'Denied',
  expired: 'Expired',
  withdrawn: 'Withdrawn',
  used: 'Approved and run',
};

/** What became of a request for approval. */
export function state(name: string): string {
  return states[name] ?? name;
}

/** `delete_needs_approval` as a word of its own is for machines; without the underscores people can read it. */
export function plain(code: string): string {
  return code.replaceAll('_', ' ');
}

const unprintable = /(?![\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text of an agent's or an upstream's: what could hide or turn other text is written out. */
export function visible(text: string): string {
  return text.replace(unprintable, (found) => `\\u${(found.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}
