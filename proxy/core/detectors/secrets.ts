import { limits } from '../limits.ts';
import type { Detector } from './detector.ts';
import { alphanumeric, base64Url, begins, isIn, not, run, table, wordBreak } from './scan.ts';

const notWord = not(table('A-Za-z0-9_'));

function anyOf(codes: readonly number[]): Uint8Array {
  const set = new Uint8Array(256);
  for (const code of codes) set[code] = 1;
  return set;
}

/** Tokens that are known by their beginning, of four bytes at least, and have so many bytes of an alphabet behind it. */
function prefixed(prefixes: readonly string[], alphabet: Uint8Array, least: number, most: number): Detector {
  const lengthMax = Math.max(...prefixes.map((prefix) => prefix.length)) + most;
  return {
    heads: [[0, 1, 2, 3].map((index) => anyOf(prefixes.map((prefix) => prefix.charCodeAt(index))))],
    after: notWord,
    lengthMax,
    // The same length at most and at least is a boundary: one more byte makes it something else.
    ...(least === most ? {} : { goesOn: alphabet }),
    match(bytes, at, end, final) {
      for (const prefix of prefixes) {
        if (!begins(prefix, bytes, at, end)) continue;
        const body = at + prefix.length;
        const limit = least === most ? body + most + 1 : at + lengthMax;
        const stop = run(alphabet, bytes, Math.min(body, end), Math.min(end, limit));
        if (stop === end && stop < limit && !final) return -1;
        if (least === most ? stop - body === most : stop - body >= least) return stop;
      }
      return at;
    },
  };
}

/** The id of an access key of AWS: `AKIA…` (long-lived) or `ASIA…` (temporary), 20 characters. */
export const awsAccessKey: Detector = {
  ...prefixed(['AKIA', 'ASIA'], alphanumeric, 16, 16),
  after: wordBreak,
  match(bytes, at, end, final) {
    const stop = awsKeyId.match(bytes, at, end, final);
    return stop <= at || run(awsAlphabet, bytes, at, stop) === stop ? stop : at;
  },
};
const awsKeyId = prefixed(['AKIA', 'ASIA'], alphanumeric, 16, 16);
const awsAlphabet = table('A-Z0-9');

/** `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_` and 36 characters or more, or `github_pat_` and 22 or more. */
export const githubToken: Detector = prefixed(
  ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'],
  table('A-Za-z0-9_'),
  22,
  255,
);

/** `xoxb-`, `xoxp-` and their kin, `xapp-`. Not the addresses of incoming webhooks. */
export const slackToken: Detector = prefixed(
  [
    'xoxa-',
    'xoxb-',
    'xoxc-',
    'xoxd-',
    'xoxe-',
    'xoxe.xoxb-',
    'xoxe.xoxp-',
    'xoxo-',
    'xoxp-',
    'xoxr-',
    'xoxs-',
    'xapp-',
  ],
  table('A-Za-z0-9%-'),
  10,
  512,
);

/** `AIza` and 35 characters. */
export const googleApiKey: Detector = prefixed(['AIza'], base64Url, 35, 35);

/** Secret and restricted keys (`sk_live_`, `rk_test_`, …) and secrets of webhooks (`whsec_`); publishable keys are public. */
export const stripeKey: Detector = prefixed(
  ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_', 'whsec_'],
  table('A-Za-z0-9+/='),
  16,
  255,
);

const jwtBytesMax = 8 * 1024;
/** A long text in base64 without a dot is something else: a header is short. */
const jwtHeaderBytesMax = 1024;
const dot = 0x2e;

/** Three or more base64url parts of which the first begins a JSON object. @see https://www.rfc-editor.org/rfc/rfc7515#section-7.1 */
export const jsonWebToken: Detector = {
  heads: [[table('e'), table('y'), table('J'), base64Url]],
  after: not(base64Url),
  lengthMax: jwtBytesMax,
  goesOn: table('A-Za-z0-9_.-'),
  match(bytes, at, end, final) {
    if (!begins('eyJ', bytes, at, end)) return at;
    const limit = at + jwtBytesMax;
    let here = at;
    for (let part = 0; part < 2; part++) {
      const bound = part === 0 ? at + jwtHeaderBytesMax : limit;
      const stop = run(base64Url, bytes, here, Math.min(end, bound));
      if (stop === end && !final && stop < bound) return -1;
      if (part === 1 && stop === limit) return limit;
      if (stop >= end || bytes[stop] !== dot || stop - here < (part === 0 ? 10 : 2)) return at;
      here = stop + 1;
    }
    const bound = Math.min(end, limit);
    let stop = run(base64Url, bytes, here, bound);
    while (stop < bound && bytes[stop] === dot && isIn(base64Url, bytes, stop + 1, end)) {
      stop = run(base64Url, bytes, stop + 1, bound);
    }
    return stop >= end - 1 && !final && stop < limit ? -1 : stop;
  },
};

const dash = table('-');
const opening = '-----BEGIN ';
const closing = '-----END ';
const keyLabel = table('A-Z0-9 ');
const labelBytesMax = 64;

/** A PEM block whose label ends in PRIVATE KEY (or …BLOCK); one that is cut off counts. @see https://www.rfc-editor.org/rfc/rfc7468 */
export const privateKey: Detector = {
  heads: [[dash, dash, dash, dash]],
  after: new Uint8Array(256).fill(1),
  lengthMax: limits.detectorHoldLengthMax,
  goesOn: table('A-Za-z0-9+/=\\\n\r\t '),
  match(bytes, at, end, final) {
    if (at + 5 < end && bytes[at + 5] !== 0x42) return at;
    if (!begins(opening, bytes, at, end)) return at;
    if (end < at + opening.length) return final ? at : -1;
    const label = run(keyLabel, bytes, at + opening.length, Math.min(end, at + opening.length + labelBytesMax));
    if (label === end && !final) return -1;
    if (!/PRIVATE KEY(?: BLOCK)?$/.test(bytes.toString('latin1', at, label))) return at;
    const limit = Math.min(end, at + limits.detectorHoldLengthMax);
    const block = bytes.subarray(label, limit);
    const last = block.indexOf(closing, 0, 'latin1');
    const stop = last < 0 ? -1 : block.indexOf('-----', last + closing.length, 'latin1');
    if (stop >= 0) return label + stop + 5;
    return limit < end || limit === at + limits.detectorHoldLengthMax || final ? limit : -1;
  },
};

const hashBody = table('A-Za-z0-9./+=,_$-');
const hashBytesMax = 512;
/** What stands between the first two dollars. */
const hashSchemes =
  /^\$(?:1|2[abxy]?|5|6|7|g?y|sm3|md5|apr1|sha1|argon2(?:id|i|d)|s?crypt|bcrypt(?:-sha256)?|pbkdf2(?:-sha\d{1,3})?)\$/;

/**
 * Hashes of passwords in the modular crypt format, as in `/etc/shadow`, `.htpasswd` and the tables of applications: `$6$…`,
 * `$2b$…`, `$y$…`, `$argon2id$…`. Not the 13 characters of the old DES crypt, nor bare hexadecimal digests.
 * @see https://man7.org/linux/man-pages/man5/crypt.5.html
 */
export const passwordHash: Detector = {
  heads: [[table('$'), alphanumeric, table('A-Za-z0-9$'), hashBody]],
  after: not(table('A-Za-z0-9$')),
  lengthMax: hashBytesMax,
  goesOn: hashBody,
  match(bytes, at, end, final) {
    const limit = at + hashBytesMax;
    const stop = run(hashBody, bytes, at, Math.min(end, limit));
    if (stop === end && !final && stop < limit) return -1;
    const text = bytes.toString('latin1', at, stop);
    const scheme = hashSchemes.exec(text)?.[0].length ?? 0;
    return scheme > 0 && stop - at - text.lastIndexOf('$') > 20 ? stop : at;
  },
};
