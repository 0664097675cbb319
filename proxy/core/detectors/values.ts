import type { Detector } from './detector.ts';
import { alphanumeric, digit, endingWord, isIn, not, run, runBack, table, three } from './scan.ts';

/**
 * Detectors that know a secret by what stands before it. A find is the value alone, so that the name stays readable and
 * goes out at once.
 */
const blank = table(' \t');
const space = 0x20;
const quote = table('"\'`\\');
const assigns = table('=:>|');
const separators = table('_-');

/** Blanks on one side of a sign. */
const blanksMax = 4;
/** Quotation marks, escaped perhaps, and the bytes of a sign. */
const marksMax = 3;

/**
 * Where the name of a value ends that begins at `at`, or −1: before it stand, read backwards, perhaps a quotation mark and
 * blanks, one to three of `=:>|`, and perhaps blanks and a quotation mark again.
 */
function nameEnd(bytes: Buffer, at: number): number {
  let here = runBack(quote, bytes, at, marksMax);
  here = runBack(blank, bytes, here, blanksMax);
  const sign = runBack(assigns, bytes, here, marksMax);
  if (sign === here) return -1;
  here = runBack(blank, bytes, sign, blanksMax);
  return runBack(quote, bytes, here, marksMax);
}

const beforeValue = table('=:>| \t"\'`');
const secretNames = [
  ...['password', 'passwd', 'passphrase', 'passcode', 'pwd', 'pass', 'secret', 'token', 'credential', 'credentials'],
  ...['apikey', 'authkey', 'accesskey', 'secretkey', 'privatekey', 'accountkey', 'signingkey', 'encryptionkey'],
].toSorted();
/** The names by their last letter, so that most words are done with after one look. */
const namesByLast: readonly (readonly string[])[] = Array.from({ length: 256 }, (_, byte) =>
  secretNames.filter((name) => name.charCodeAt(name.length - 1) === (byte | 0x20)),
);
/** What can stand before a sign: the last letter of one of some names, or what may come between; and a sign. */
function lastOf(names: readonly string[]): Uint8Array {
  const set = table('=:>| \t"\'`\\');
  for (const name of names) {
    const last = name.charCodeAt(name.length - 1);
    set[last] = set[last & ~0x20] = 1;
  }
  return set;
}

/** Two bytes as an index, letters of both cases alike. */
function ending(first: number, second: number): number {
  return ((first & 0xdf) << 8) | (second & 0xdf);
}

/** The last two bytes before a sign with which it is worth reading on. A quotation mark or blank may hide a name. */
const secretEnds = new Uint8Array(0x10000);
for (const name of secretNames)
  secretEnds[ending(name.charCodeAt(name.length - 2), name.charCodeAt(name.length - 1))] = 1;
for (const byte of Buffer.from('=:>| \t"\'`\\')) {
  for (let first = 0; first < 256; first++) secretEnds[ending(first, byte)] = 1;
}

function endsWithOne(names: readonly string[], bytes: Buffer, end: number): boolean {
  for (const name of names) if (endingWord(name, bytes, end, separators) >= 0) return true;
  return false;
}

const valueBytesMax = 1024;
const valueBytesMin = 4;
/** What ends a value without quotation marks. */
const bareValue = not(table('\0- \x7f"\'`&;<>|'));
const quotedValue = not(table('\0-\x1f\x7f'));
const tail = table(',.)}]\\');
const notSecret =
  /^(?:\$[{(A-Za-z_].*|%.*%|\{\{.*|<.*|\*+|x+|null|none|nil|true|false|undefined|required|optional|\[?redacted\]?)$/i;

/** Where a value ends: at the quotation mark it began with, or before what ends a word. */
function valueEnd(bytes: Buffer, at: number, limit: number): number {
  const mark = bytes[at - 1] ?? 0;
  if (quote[mark] !== 1) return run(bareValue, bytes, at, limit);
  let here = at;
  while (here < limit && bytes[here] !== mark && quotedValue[bytes[here] ?? 0] === 1) here++;
  return here;
}

/**
 * The value behind a name that ends in password, secret, token, api_key or the like, and `=`, `:`, `=>` or a table's `|`: in
 * shells, YAML, JSON, connection strings, forms. At least four characters, on the same line; references (`$PASSWORD`, `{{ … }}`)
 * and the commonest words that are no secret are left. Not a value after a blank alone (`--password hunter2`).
 */
export const genericSecret: Detector = {
  heads: [[not(table('\0- \x7f"\'`=:>|\\')), ...three(quotedValue)]],
  after: beforeValue,
  afterSpace: beforeValue,
  afterOther: lastOf(secretNames),
  lengthMax: valueBytesMax,
  goesOn: bareValue,
  match(bytes, at, end, final) {
    const sign = bytes[at - 1] === space ? at - 2 : at - 1;
    if (secretEnds[ending(bytes[sign - 2] ?? 0, bytes[sign - 1] ?? 0)] !== 1) return at;
    const name = nameEnd(bytes, at);
    if (name <= 0) return at;
    const candidates = namesByLast[bytes[name - 1] ?? 0] ?? [];
    if (!endsWithOne(candidates, bytes, name)) return at;
    const limit = at + valueBytesMax;
    let stop = valueEnd(bytes, at, Math.min(end, limit));
    if (stop === end && !final && stop < limit) return -1;
    if (stop < limit) while (stop > at && tail[bytes[stop - 1] ?? 0] === 1) stop--;
    if (stop - at < valueBytesMin) return at;
    return stop - at < 64 && notSecret.test(bytes.toString('latin1', at, stop)) ? at : stop;
  },
};

const awsBody = table('A-Za-z0-9/+');
const awsSecretBytes = 40;
const awsNames = ['secretaccesskey', 'secretkey', 'awssecretkey'];

/** Forty characters behind the name of a secret access key of AWS (`aws_secret_access_key`, `SecretAccessKey`); bare ones look like anything. */
export const awsSecretKey: Detector = {
  heads: [[awsBody, ...three(awsBody)]],
  after: beforeValue,
  afterSpace: beforeValue,
  afterOther: lastOf(awsNames),
  lengthMax: awsSecretBytes,
  match(bytes, at, end, final) {
    const name = nameEnd(bytes, at);
    if (name <= 0 || !endsWithOne(awsNames, bytes, name)) return at;
    const stop = run(awsBody, bytes, at, Math.min(end, at + awsSecretBytes + 1));
    if (stop === end && !final && stop - at <= awsSecretBytes) return -1;
    return stop - at === awsSecretBytes ? stop : at;
  },
};

const userBytesMax = 64;
const passwordBytesMax = 256;
const userBody = not(table('\0- \x7f/:@"\'`<>?#'));
const passwordBody = not(table('\0- \x7f/"\'`<>?#'));
const atSign = 0x40;

/** The password of `scheme://user:password@host`. Not one that holds `/`, `?` or `#` as it is: those end the authority. @see https://www.rfc-editor.org/rfc/rfc3986#section-3.2 */
export const urlCredentials: Detector = {
  heads: [[passwordBody]],
  after: table(':'),
  needs: { byte: atSign, within: passwordBytesMax },
  lengthMax: passwordBytesMax,
  match(bytes, at, end, final) {
    const user = runBack(userBody, bytes, at - 1, userBytesMax);
    if (user < 4 || bytes[user - 1] !== 0x2f || bytes[user - 2] !== 0x2f || bytes[user - 3] !== 0x3a) return at;
    if (!isIn(alphanumeric, bytes, user - 4, end)) return at;
    const limit = at + passwordBytesMax;
    let stop = run(passwordBody, bytes, at, Math.min(end, limit));
    if (stop === end && !final && stop < limit) return -1;
    // The last one: a password may hold more of them.
    while (stop > at && bytes[--stop] !== atSign);
    return stop;
  },
};

const tokenBody = table('A-Za-z0-9._~+/=:-');
const tokenBytesMax = 8 * 1024;
/** Without the header's name a word after "bearer" may be prose. */
const aloneBytesMin = 16;
const headerGap = table(' \t:="\'\\');
const headerGapMax = 8;

/** Where the name of a scheme begins that ends before `end`, or −1. */
function otherScheme(bytes: Buffer, end: number): number {
  return Math.max(...['basic', 'token', 'apikey'].map((name) => endingWord(name, bytes, end)));
}

/**
 * Credentials of an `Authorization` header (Bearer, Basic, Token, ApiKey), as on the wire, in `curl -v`, in JSON and in code;
 * without the header's name only what follows `Bearer`, has 16 characters and a digit among them.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export const bearerToken: Detector = {
  heads: [[tokenBody]],
  after: blank,
  afterSpace: table('RrCcNnYy \t'),
  lengthMax: tokenBytesMax,
  goesOn: tokenBody,
  match(bytes, at, end, final) {
    const scheme = runBack(blank, bytes, at, blanksMax);
    const bearer = endingWord('bearer', bytes, scheme);
    const word = bearer >= 0 ? bearer : otherScheme(bytes, scheme);
    if (word <= 0) return at;
    const header = endingWord('authorization', bytes, runBack(headerGap, bytes, word, headerGapMax)) >= 0;
    if (!header && (word !== bearer || isIn(alphanumeric, bytes, word - 1, end))) return at;
    const limit = at + tokenBytesMax;
    const stop = run(tokenBody, bytes, at, Math.min(end, limit));
    if (stop === end && !final && stop < limit) return -1;
    if (header || stop === limit) return stop;
    return stop - at >= aloneBytesMin && run(notDigit, bytes, at, stop) < stop ? stop : at;
  },
};
const notDigit = not(digit);
