/**
 * Which startup parameters a client may set. A server runs some of them with the privileges of the login and before
 * any statement is seen (`role`, `search_path`, `session_preload_libraries`, hooks of extensions), so everything is
 * refused that is not listed here with the values it may have.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE
 */
import { nameBytesMax } from './codec.ts';

/** What a client asked for, checked. */
export interface Startup {
  readonly user: string;
  /** The user's name when the client named none, as the server does. */
  readonly database: string;
  /** `application_name`, printable ASCII of at most 63 characters; empty when there was none. */
  readonly application: string;
  /** Settings for the upstream's own startup packet, by their canonical names. Always has `client_encoding`. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Why a startup was refused: a sentence, and the SQLSTATE it is told with. */
export interface StartupProblem {
  readonly sqlstate: string;
  readonly message: string;
}

const duration = /^\d{1,9} ?(us|ms|s|min|h|d)?$/;
const boolean = /^(on|off|true|false|yes|no|0|1)$/i;

/** Canonical name → the values that are accepted. A setting is here when it cannot change what SQL means or may do. */
const settings: ReadonlyMap<string, RegExp> = new Map([
  ['application_name', /^[^\p{Cc}]{0,256}$/u],
  ['client_encoding', /^.{1,32}$/],
  ['client_min_messages', /^[a-z0-9]{1,16}$/i],
  ['DateStyle', /^[A-Za-z, ]{1,32}$/],
  ['IntervalStyle', /^[a-z_0-9]{1,32}$/i],
  ['TimeZone', /^[\w/+\-:<>.]{1,64}$/],
  ['extra_float_digits', /^[+-]?\d{1,2}$/],
  ['bytea_output', /^(hex|escape)$/i],
  ['statement_timeout', duration],
  ['lock_timeout', duration],
  ['idle_in_transaction_session_timeout', duration],
  ['idle_session_timeout', duration],
  ['jit', boolean],
  ['default_transaction_isolation', /^[a-z ]{1,24}$/i],
  // What the classifier assumes: naming it is fine, changing it is not.
  ['standard_conforming_strings', /^(on|true|yes|1)$/i],
]);

const canonicalNames: ReadonlyMap<string, string> = new Map(
  [...settings.keys()].map((name) => [name.toLowerCase(), name]),
);

/** Checks the parameters of a startup packet, `options` included. Pure. */
export function readStartup(parameters: ReadonlyMap<string, string>): Startup | StartupProblem {
  const user = parameters.get('user') ?? '';
  if (user === '') return { sqlstate: '28000', message: 'The startup packet names no user.' };
  const database = parameters.get('database') || user;
  if (Buffer.byteLength(user) > nameBytesMax || Buffer.byteLength(database) > nameBytesMax) {
    return { sqlstate: '28000', message: `A user or database name is longer than ${nameBytesMax} bytes.` };
  }
  const accepted = new Map<string, string>();
  const options = splitOptions(parameters.get('options') ?? '');
  const assignments = options === undefined ? undefined : readAssignments(options);
  if (assignments === undefined) {
    return unsupported('The startup parameter options may only hold -c name=value or --name=value.');
  }
  // The order is the server's: what stands alone wins over what stands in options.
  for (const [name, value] of [...assignments, ...parameters]) {
    if (name === 'user' || name === 'database' || name === 'options' || name.startsWith('_pq_.')) continue;
    const problem = accept(name, value, accepted);
    if (problem !== undefined) return problem;
  }
  const application = (accepted.get('application_name') ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, nameBytesMax);
  accepted.set('client_encoding', 'UTF8');
  return { user, database, application, parameters: Object.fromEntries(accepted) };
}

function accept(name: string, value: string, accepted: Map<string, string>): StartupProblem | undefined {
  if (name === 'replication') {
    return /^(false|off|no|0)$/i.test(value) ? undefined : unsupported('Replication connections are not available.');
  }
  const canonical = canonicalNames.get(name.toLowerCase());
  if (canonical === undefined) {
    return unsupported(`The startup parameter ${quote(name)} is not accepted.`);
  }
  if (settings.get(canonical)?.test(value) !== true) {
    return unsupported(`This value of the startup parameter ${canonical} is not accepted.`);
  }
  if (canonical === 'client_encoding' && !isUtf8Name(value)) {
    return unsupported('Only the client encoding UTF8 is available (PGCLIENTENCODING=UTF8).');
  }
  accepted.set(canonical, value);
  return undefined;
}

/**
 * The server ignores case and everything that is not a letter or digit in the name of an encoding. SQL_ASCII, which
 * psql sends in the C locale, means no conversion; it is answered with UTF8 and the ParameterStatus says so.
 */
function isUtf8Name(value: string): boolean {
  return ['utf8', 'unicode', 'sqlascii'].includes(value.replaceAll(/[^A-Za-z0-9]/g, '').toLowerCase());
}

/**
 * Splits `options` into arguments as the server does: at white space, where a backslash takes the next character as
 * it is. `undefined` for a lone backslash at the end, which the server would drop.
 */
export function splitOptions(options: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < options.length; at++) {
    let character = options.charAt(at);
    if (/[ \t\n\v\f\r]/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (character === '\\') {
      at++;
      if (at === options.length) return undefined;
      character = options.charAt(at);
    }
    word = (word ?? '') + character;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** `-c name=value`, `-cname=value` and `--name=value`; dashes in a name mean underscores. `undefined` for anything else. */
function readAssignments(words: readonly string[]): readonly (readonly [string, string])[] | undefined {
  const assignments: [string, string][] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    let assignment: string;
    if (word === '-c') assignment = words[++at] ?? '';
    else if (word.startsWith('-c') || word.startsWith('--')) assignment = word.slice(2);
    else return undefined;
    const equals = assignment.indexOf('=');
    if (equals < 1) return undefined;
    assignments.push([assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1)]);
  }
  return assignments;
}

function unsupported(message: string): StartupProblem {
  return { sqlstate: '0A000', message };
}

/** A name of the client's, short and printable. */
function quote(name: string): string {
  return JSON.stringify(name.slice(0, nameBytesMax));
}
