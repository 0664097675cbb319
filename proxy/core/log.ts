/** Structured logs for operators: one JSON object a line, without credentials. */
import type { Clock } from './ports.ts';

/** What one line may carry besides its message. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined | Error>>;

/** Writes log lines. Never throws. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Longer texts are cut: a log line is for people. */
const textCharactersMax = 2_000;
const secretName = /secret|password|token|credential|authorization|cookie|private|(^|_)key$/i;
/** JSON Web Tokens, PEM blocks, passwords in URLs, and `Bearer …`, wherever they stand in a text. */
const secretText =
  /eyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?|-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)|(?<=:\/\/[^\s:@/]*:)[^\s@/]+(?=@)|(?<=bearer\s)\S+/gi;

/**
 * @param write - takes one line with its newline; by default standard error.
 * Fields named like a secret, and texts that look like one, are replaced: a second line of defence, since
 * no caller hands one over.
 */
export function createLog(clock: Clock, write: (line: string) => void = (line) => process.stderr.write(line)): Log {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      const line: Record<string, unknown> = {
        time: new Date(clock.nowMs()).toISOString(),
        level,
        message: redact(message),
      };
      for (const [name, value] of Object.entries(fields)) {
        if (value instanceof Error) line[name] = describeError(value);
        else if (secretName.test(name)) line[name] = '[redacted]';
        else line[name] = typeof value === 'string' ? redact(value) : value;
      }
      write(`${JSON.stringify(line)}\n`);
    };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

/** A log that writes nothing. */
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** An error with its causes, each by code and message, without a stack below the first. */
function describeError(error: Error): Record<string, unknown> {
  const causes: string[] = [];
  let cause = error.cause;
  for (let depth = 0; depth < 4 && cause instanceof Error; depth++) {
    causes.push(redact(`${cause.name}: ${cause.message}`));
    cause = cause.cause;
  }
  return {
    name: error.name,
    code: 'code' in error ? String(error.code) : undefined,
    message: redact(error.message),
    causes: causes.length > 0 ? causes : undefined,
    stack: frames(error),
  };
}

/** The first frames of a stack. The lines of its message, which come first, are not taken again. */
function frames(error: Error): string | undefined {
  const lines = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return lines === undefined ? undefined : redact(lines.slice(0, 5).join('\n'));
}

function redact(text: string): string {
  const cut = text.length > textCharactersMax ? `${text.slice(0, textCharactersMax)}…` : text;
  return cut.replace(secretText, '[redacted]');
}
