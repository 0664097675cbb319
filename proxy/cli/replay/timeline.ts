import type { JsonObject } from '../../core/types.ts';
import { postgresPrinter } from './postgres.ts';
import { sshPrinter } from './ssh.ts';
import { isSaid, margin, type Printer, stamp, text } from './text.ts';

/** A recording as lines that a person can follow. Control characters in them are those of what was recorded. */
export function timeline(): Printer {
  const postgres = postgresPrinter();
  const ssh = sshPrinter();
  const printers = new Map([
    ...['statement', 'columns', 'rows', 'complete'].map((kind) => [kind, postgres] as const),
    ...['command', 'stdout', 'stderr', 'resize', 'exit', 'transfer', 'forwarded'].map((kind) => [kind, ssh] as const),
  ]);
  return (frame) => {
    const { kind, data, timeMs, truncatedFrom } = frame;
    const long = truncatedFrom === undefined ? [] : [`${margin}(${truncatedFrom} bytes, too long to keep)`];
    const printer = printers.get(kind);
    if (printer !== undefined) return [...printer(frame), ...long];
    if (data instanceof Uint8Array) return [`${stamp(timeMs)}  ${kind}: ${data.length} bytes`];
    if (kind === 'header') return header(data);
    // What the index is made of; the statements and commands beside it say more.
    if (kind === 'judged') return [];
    return [`${stamp(timeMs)}  ${summary(kind, data)}`, ...long];
  };
}

function header(data: JsonObject): string[] {
  const { session, protocol, upstream, started_at, subject, application, client_address } = data;
  const facts = { session, protocol, upstream, started_at, subject, application, client_address };
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(15)}${text(value)}`);
}

function summary(kind: string, data: JsonObject): string {
  switch (kind) {
    case 'refused':
      return `! refused: ${[data.code, data.policy, data.message].filter(isSaid).map(text).join(' — ')}`;
    case 'truncated':
      return `… not recorded: ${Object.values(data).filter(isSaid).map(text).join(', ')}`;
    case 'cut':
      return '… the recording ends here without its end: the gateway or its disk stopped';
    default:
      return `${kind} ${JSON.stringify(data)}`;
  }
}
