import { redactSecrets } from '../../core/masker/secrets.ts';
import type { CompiledMask } from '../../core/masker.ts';
import { hideSecretWords } from './secret-words.ts';

/**
 * A command as it may be kept and shown: without credentials, those that stand as words of their own included, without
 * what the decision masks, and bounded.
 *
 * @param masks - of the decision, by detector
 */
export function redactCommand(text: string, masks?: ReadonlyMap<string, CompiledMask>): string {
  return redactSecrets(hideSecretWords(text.toWellFormed(), '***'), masks);
}
