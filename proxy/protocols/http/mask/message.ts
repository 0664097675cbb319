import { GatewayError } from '../../../core/errors.ts';
import { createByteMasker, createJsonMasker, type JsonMasker } from '../../../core/masker.ts';
import type { ReadyMasks } from './content.ts';

/**
 * Masks messages one by one, each whole: the events of a stream, the texts of a WebSocket. One that is JSON is masked by paths, with
 * detectors in its strings; another is looked through as a text, but where paths are masked it has to be JSON.
 */
export class MessageMask {
  readonly #masks: ReadyMasks;
  #json: JsonMasker;
  /** Of texts, and of maskers that were given up. */
  #otherMatches = 0;

  constructor(masks: ReadyMasks) {
    this.#masks = masks;
    this.#json = createJsonMasker(masks);
  }

  /** How much was masked so far, in all messages. */
  get matches(): number {
    return this.#json.matches + this.#otherMatches;
  }

  /** Masks one message in UTF-8. @throws GatewayError when it cannot be masked: nothing of it may then be shown */
  mask(message: Buffer): Buffer {
    const before = this.#json.matches;
    try {
      return Buffer.concat([...this.#json.push(message), ...this.#json.finish()]);
    } catch (error) {
      const isOther = error instanceof GatewayError && error.code === 'mask_unprovable';
      if (this.#masks.hasPaths || !isOther) throw error;
      this.#json = createJsonMasker(this.#masks);
      this.#otherMatches += before;
      return this.text(message);
    }
  }

  /** Masks a text in UTF-8 that is no message of its own: by detectors alone. */
  text(text: Buffer): Buffer {
    if (this.#masks.text === undefined || text.length === 0) return text;
    const made = createByteMasker(this.#masks.text, { clock: noClock });
    if ('error' in made) throw new GatewayError('mask_unknown', made.error);
    const masked = Buffer.concat([...made.masker.push(text), ...made.masker.finish()]);
    this.#otherMatches += made.masker.matches;
    return masked;
  }
}

/** Nothing waits in what is masked whole. */
const noClock = { monotonicMs: () => 0 };
