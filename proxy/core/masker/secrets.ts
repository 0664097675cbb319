import { detectors } from '../detectors.ts';
import { limits } from '../limits.ts';
import type { CompiledMask } from '../masker.ts';
import { createTextMasker } from './stream.ts';

/** Detectors of what nobody may keep, whatever the policy: credentials that a client writes into what it asks for. */
const secrets =
  'private_key jwt aws_access_key aws_secret_key password_hash url_credentials bearer_token github_token slack_token google_api_key stripe_key generic_secret'
    .split(' ')
    .filter((name) => detectors.has(name));

const hidden: CompiledMask = { kind: 'constant', value: '***' };
const always: ReadonlyMap<string, CompiledMask> = new Map(secrets.map((name) => [name, hidden]));

/** Characters that the trail and the recordings keep of what a client wrote, unless said. */
const keptLength = 4_096;

/**
 * What a client wrote, as it may be kept and shown: without credentials, without what the decision masks, and bounded.
 *
 * @param masks - of the decision, by detector
 */
export function redactSecrets(
  text: string,
  masks?: ReadonlyMap<string, CompiledMask>,
  lengthMax: number = keptLength,
): string {
  const plain = masks === undefined || masks.size === 0;
  if (plain && harmless.has(text) && text.length <= lengthMax) return text;
  const made = createTextMasker(withSecrets(masks));
  if ('error' in made) return '***';
  const { masker } = made;
  const redacted = masker.push(text.toWellFormed()) + masker.finish();
  if (plain && redacted === text && text.length <= limits.harmlessTextLengthMax) keepHarmless(text);
  return redacted.length <= lengthMax ? redacted : `${redacted.slice(0, lengthMax).toWellFormed()}…`;
}

/** Short texts without any secret that were looked at lately: header values and paths come over and over. */
const harmless = new Set<string>();

function keepHarmless(text: string): void {
  if (harmless.size >= limits.harmlessTextsMax) harmless.clear();
  harmless.add(text);
}

const known = new WeakMap<ReadonlyMap<string, CompiledMask>, ReadonlyMap<string, CompiledMask>>();

/** The masks of a decision over those for credentials; the same object for the same masks. */
function withSecrets(masks: ReadonlyMap<string, CompiledMask> | undefined): ReadonlyMap<string, CompiledMask> {
  if (masks === undefined || masks.size === 0) return always;
  const both = known.get(masks) ?? new Map([...always, ...masks]);
  known.set(masks, both);
  return both;
}
