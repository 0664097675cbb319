/**
 * The grammar of JSON as tables: a state and a byte give the next state, or something to do. Strict: what `JSON.parse` takes, of
 * bytes that are UTF-8 (bytes above ASCII count as characters of a string here). There is a table for what is inside of each kind
 * of container, so that a comma needs no look at the stack; and quiet ones for where nobody asks for names and scalars.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259
 */

/** What is not JSON. No way leads out of it. */
export const error = 0;
/** Before a value; where a document begins. */
export const beforeValue = 1;
/** Behind a value. */
export const afterValue = 2;
/** Behind `[`, behind `{`, and behind a comma in an object. */
const beforeFirstElement = 3;
const beforeFirstName = 4;
const beforeName = 5;
/** Behind a name, and behind one of whose value only the containers are of interest. */
export const beforeColon = 6;
export const beforeQuietColon = 7;
const beforeQuietValue = 8;
/** In a string, and in a name nobody asks for. Each takes six states, as does the next. */
const inString = 9;
const inQuietName = 21;
/** In a name that somebody asks for. */
export const inName = 15;

const minus = 27;
const zero = 28;
const integer = 29;
const point = 30;
const fraction = 31;
const exponent = 32;
const exponentSign = 33;
const exponentDigits = 34;
/** In `true`, `false`, `null`, behind the first letter. */
const inTrue = 35;
const inFalse = 38;
const inNull = 42;

/** From here on it is the beginning of a string: this plus the state in it. */
export const stringStart = 64;
/** From here on it is something to do. */
export const firstAction = 128;
/** A byte that begins a value that somebody asks for, or a container; `begin` says what follows it. */
export const value = 128;
/** The quotation mark before a name that somebody asks for, and behind it. */
export const nameStart = 129;
export const nameEnd = 130;
/** A backslash in such a name. */
export const nameEscape = 131;
/** The end of the container. */
export const close = 132;
/** The end of a line, between documents of which each has one. */
export const line = 133;

const space = ' \t\n\r';
const digits = '0123456789';
const hexDigits = '0123456789abcdefABCDEF';
const scalars: readonly (readonly [first: string, state: number])[] = [
  ['"', inString],
  ['-', minus],
  ['0', zero],
  ['123456789', integer],
  ['t', inTrue],
  ['f', inFalse],
  ['n', inNull],
];
const containers: readonly (readonly [first: string, state: number])[] = [
  ['{', beforeFirstName],
  ['[', beforeFirstElement],
];
const endsOfNumbers = [zero, integer, fraction, exponentDigits];

/** The state behind the first byte of a value, by that byte. */
export const begin = new Uint8Array(256);
for (const [first, state] of [...scalars, ...containers]) for (const byte of Buffer.from(first)) begin[byte] = state;

type Container = 'nothing' | 'array' | 'object';

/** Makes the table for what is inside of a container: what follows a state and a byte, at `state << 8 | byte`. */
function tableOf(container: Container, isQuiet: boolean, ofLines: boolean): Uint8Array {
  const table = new Uint8Array(64 * 256);
  const on = (state: number, characters: string, next: number): void => {
    for (const byte of Buffer.from(characters)) table[(state << 8) | byte] = next;
  };
  /** Up to the closing quotation mark. A backslash may be something to do, but leads to the same state. */
  const string = (state: number, end: number, backslash = state + 1): void => {
    for (let byte = 0x20; byte < 256; byte++) table[(state << 8) | byte] = state;
    on(state, '"', end);
    on(state, '\\', backslash);
    on(state + 1, '"\\/bfnrt', state);
    on(state + 1, 'u', state + 2);
    for (let digit = 2; digit < 6; digit++) on(state + digit, hexDigits, digit === 5 ? state : state + digit + 1);
  };
  const values = (state: number, asks: boolean): void => {
    on(state, space, state);
    for (const [first] of containers) on(state, first, value);
    for (const [first, next] of scalars) on(state, first, asks ? value : first === '"' ? stringStart + next : next);
  };
  const word = (rest: string, first: number): void => {
    for (let at = 0; at < rest.length; at++)
      on(first + at, rest.charAt(at), at === rest.length - 1 ? afterValue : first + at + 1);
  };
  const behindValue = (state: number): void => {
    on(state, space, afterValue);
    if (container !== 'nothing') on(state, container === 'object' ? '}' : ']', close);
    if (container !== 'nothing') on(state, ',', container === 'object' ? beforeName : beforeValue);
  };

  values(beforeValue, !isQuiet);
  values(beforeQuietValue, false);
  for (const state of [...endsOfNumbers, afterValue]) behindValue(state);
  if (container === 'array') {
    values(beforeFirstElement, !isQuiet);
    on(beforeFirstElement, ']', close);
  } else if (container === 'object') {
    for (const state of [beforeFirstName, beforeName, beforeColon, beforeQuietColon]) on(state, space, state);
    for (const state of [beforeFirstName, beforeName]) on(state, '"', isQuiet ? stringStart + inQuietName : nameStart);
    on(beforeFirstName, '}', close);
    on(beforeColon, ':', beforeValue);
    on(beforeQuietColon, ':', beforeQuietValue);
    string(inName, nameEnd, nameEscape);
    string(inQuietName, beforeQuietColon);
  }

  string(inString, afterValue);
  on(minus, '0', zero);
  on(minus, '123456789', integer);
  for (const state of [integer, fraction, exponentDigits]) on(state, digits, state);
  for (const state of [zero, integer]) on(state, '.', point);
  on(point, digits, fraction);
  for (const state of [zero, integer, fraction]) on(state, 'eE', exponent);
  on(exponent, '+-', exponentSign);
  for (const state of [exponent, exponentSign]) on(state, digits, exponentDigits);
  word('rue', inTrue);
  word('alse', inFalse);
  word('ull', inNull);

  if (ofLines) {
    // A line ends between documents, and nowhere else.
    for (let state = 0; state < 64; state++) table[(state << 8) | 0x0a] = error;
    if (container === 'nothing') for (const state of [beforeValue, afterValue, ...endsOfNumbers]) on(state, '\n', line);
  }
  return table;
}

/** The tables of a kind of documents. The quiet ones are for where nobody asks for names and scalars. */
export interface Tables {
  readonly nothing: Uint8Array;
  readonly array: Uint8Array;
  readonly object: Uint8Array;
  readonly quietArray: Uint8Array;
  readonly quietObject: Uint8Array;
}

function tablesOf(ofLines: boolean): Tables {
  return {
    nothing: tableOf('nothing', false, ofLines),
    array: tableOf('array', false, ofLines),
    object: tableOf('object', false, ofLines),
    quietArray: tableOf('array', true, ofLines),
    quietObject: tableOf('object', true, ofLines),
  };
}

/** For one document, which may have any number of lines; and for documents of which each has one line. */
export const ofDocument: Tables = tablesOf(false);
export const ofLines: Tables = tablesOf(true);

/** Whether a document may end in a state, if it is not inside of anything. */
export function mayEnd(state: number): boolean {
  return state === afterValue || endsOfNumbers.includes(state);
}

/** Whether a state is inside of a number, which ends with the byte behind it. */
export function isNumber(state: number): boolean {
  return state >= minus && state <= exponentDigits;
}

/** Whether a state is between two characters of a string or name. */
export function isString(state: number): boolean {
  return state === inString || state === inName || state === inQuietName;
}

const plain = new Uint8Array(256).fill(1, 0x20);
plain[0x22] = plain[0x5c] = 0;

/** The end of the bytes from `at` that are characters of a string as they are, no further than `to`. */
export function plainEnd(bytes: Buffer, at: number, to: number): number {
  let here = at;
  while (here < to && plain[bytes[here] ?? 0] === 1) here++;
  return here;
}
