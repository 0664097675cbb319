/** Looks for values that must be nowhere, in the forms that something kept could have given them. */
import { constants, inflateRawSync } from 'node:zlib';

/** Compressed pieces within compressed pieces that are opened. */
const depthMax = 3;

/**
 * The values that bytes contain: as they are in any case, backwards, in hexadecimal, in base64 or base64url at any offset, and
 * all of these within gzip, wherever in the bytes it begins.
 */
export function findsOf(values: readonly string[], bytes: Buffer, depth = 0): string[] {
  const text = bytes.toString('latin1');
  const folded = text.toLowerCase();
  const unsafe = text.replaceAll('-', '+').replaceAll('_', '/');
  const found = values.filter((value) => {
    const utf8 = Buffer.from(value);
    const plain = utf8.toString('latin1').toLowerCase();
    const folds = [plain, [...plain].toReversed().join(''), utf8.toString('hex')];
    return folds.some((form) => folded.includes(form)) || base64Forms(utf8).some((form) => unsafe.includes(form));
  });
  if (depth === depthMax) return found;
  return [...found, ...compressed(bytes).flatMap((inner) => findsOf(values, inner, depth + 1))];
}

/** What base64 has of a value whatever stands before and behind it: the whole groups of four inside. */
function base64Forms(value: Buffer): string[] {
  return [0, 1, 2].map((offset) => {
    const skipped = (3 - offset) % 3;
    const whole = value.subarray(skipped, skipped + Math.floor((value.length - skipped) / 3) * 3);
    return whole.toString('base64');
  });
}

/** What is compressed in some bytes, opened as far as it goes (RFC 1952); what only looks so is none. */
function compressed(bytes: Buffer): Buffer[] {
  const opened: Buffer[] = [];
  const magic = Buffer.from([0x1f, 0x8b, 0x08]);
  for (let at = bytes.indexOf(magic); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    const named = ((bytes[at + 3] ?? 0) & 8) !== 0;
    const start = named ? bytes.indexOf(0, at + 10) + 1 : at + 10;
    try {
      opened.push(inflateRawSync(bytes.subarray(start), { finishFlush: constants.Z_SYNC_FLUSH }));
    } catch {
      // Three bytes that only look like the beginning of gzip.
    }
  }
  return opened;
}
