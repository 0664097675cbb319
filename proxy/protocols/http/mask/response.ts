import { GatewayError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import { createByteMasker, createJsonMasker, Utf8Check } from '../../../core/masker.ts';
import type { Clock } from '../../../core/ports.ts';
import type { Fault } from '../../../core/types.ts';
import type { Header } from '../contract.ts';
import { parseMediaType } from '../media-type.ts';
import { type ContentMasks, prepareMasks, type ReadyMasks } from './content.ts';
import { createDecoder, type Decoder, type DecoderBounds } from './decode.ts';
import { droppedHeaders, setHeaders } from './headers.ts';
import { EventStreamMask } from './sse.ts';

/** Masks one answer. Whatever it throws is a GatewayError; then nothing more of the answer may be shown. */
export interface ResponseMask {
  /** How much was masked so far. */
  readonly matches: number;
  /** Headers of the upstream's answer that must not be passed on, in lower case. Trailers must not be either. */
  readonly dropHeaders: readonly string[];
  readonly setHeaders: readonly Header[];
  /**
   * Takes the next piece and gives what can be shown by now. A promise only where the answer has a content coding; whoever calls
   * again before it is settled has it done afterwards, but should rather pause the upstream.
   */
  push(piece: Buffer): Buffer[] | Promise<Buffer[]>;
  /** Gives the rest. */
  finish(): Buffer[] | Promise<Buffer[]>;
  /** Frees what a decoder holds. For answers that are left before their end; harmless at any time. */
  close(): void;
}

/** What an answer is, and what is to be hidden in it. */
export interface ResponseMaskOptions {
  /** As they came; undefined for an answer without. */
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Status 206. */
  readonly partial: boolean;
  /** No body follows, whatever the headers say: HEAD, 1xx, 204, 304, or a length of 0. */
  readonly bodiless: boolean;
  /** What is made of the maps is kept by their identity. */
  readonly masks: ContentMasks;
  /** Of a GraphQL operation: places in the answer that an alias moved → the path of the field there. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly limits: DecoderBounds & Pick<Limits, 'httpEventBytesMax'>;
}

/** What masks content, once no coding is in the way. */
interface ContentMask {
  readonly matches: number;
  push(piece: Buffer): Buffer[];
  finish(): Buffer[];
}

/**
 * Makes the mask of an answer, by what the answer says it is: JSON, JSON line by line, a stream of events, or text (for detectors
 * alone). Anything else is a fault: what cannot be read cannot be masked.
 */
export function createResponseMask(
  options: ResponseMaskOptions,
): { readonly mask: ResponseMask } | { readonly fault: Fault } {
  if (options.bodiless) return { mask: new PlainMask(noContent) };
  const masks = prepareMasks(options.masks, options.aliases);
  if (masks === undefined) return fault('The policy names a mask that is not known.', 'mask_unknown');
  if (options.partial) return fault('The answer is a part of something, and a mask needs the whole.');
  const content = contentMask(options, masks);
  if (content === undefined) return fault('The answer is of a type that masks cannot be applied to.');
  const coding = options.contentEncoding?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return { mask: new PlainMask(content) };
  const decoder = createDecoder(coding, options.limits);
  if (decoder === undefined) return fault('The answer has a content coding that is not known.');
  return { mask: new DecodingMask(content, decoder) };
}

function fault(message: string, code = 'mask_unprovable'): { readonly fault: Fault } {
  return { fault: { code, message } };
}

const lineTypes: ReadonlySet<string> = new Set(
  'application/x-ndjson application/ndjson application/jsonl application/x-jsonl application/jsonlines application/x-jsonlines'.split(
    ' ',
  ),
);
const textTypes: ReadonlySet<string> = new Set(
  'application/xml application/yaml application/x-yaml application/toml application/javascript application/sql'.split(
    ' ',
  ),
);
const utf8: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

function contentMask({ contentType, clock, limits }: ResponseMaskOptions, masks: ReadyMasks): ContentMask | undefined {
  const media = parseMediaType(contentType ?? '');
  if (media === undefined || !utf8.has(media.parameters.get('charset')?.toLowerCase() ?? 'utf-8')) return undefined;
  const { type } = media;
  if (type === 'application/json' || type === 'text/json' || type.endsWith('+json')) {
    return new NotEmpty(createJsonMasker(masks));
  }
  if (lineTypes.has(type)) return createJsonMasker({ ...masks, documents: 'lines' });
  if (type === 'text/event-stream') return new EventStreamMask(masks, limits);
  if (!(type.startsWith('text/') || textTypes.has(type) || type.endsWith('+xml'))) return undefined;
  // A path says nothing about a text, so that nobody could say whether what it hides is in there.
  if (masks.hasPaths || masks.text === undefined) return undefined;
  const made = createByteMasker(masks.text, { clock });
  return 'error' in made ? undefined : new Utf8Only(made.masker);
}

/** Whether an answer comes piece by piece while something happens, so that its client waits for each: events, lines of JSON. */
export function isLive(contentType: string): boolean {
  const type = parseMediaType(contentType)?.type ?? '';
  return type === 'text/event-stream' || lineTypes.has(type);
}

/** An answer may have no content at all, which is no JSON and hides nothing. */
class NotEmpty implements ContentMask {
  readonly #content: ContentMask;
  #isEmpty = true;

  constructor(content: ContentMask) {
    this.#content = content;
  }

  get matches(): number {
    return this.#content.matches;
  }

  push(piece: Buffer): Buffer[] {
    if (piece.length > 0) this.#isEmpty = false;
    return this.#content.push(piece);
  }

  finish(): Buffer[] {
    return this.#isEmpty ? [] : this.#content.finish();
  }
}

/** Text in another encoding could be read by a client that guesses, and not by detectors. */
class Utf8Only implements ContentMask {
  readonly #content: ContentMask;
  readonly #check = new Utf8Check();

  constructor(content: ContentMask) {
    this.#content = content;
  }

  get matches(): number {
    return this.#content.matches;
  }

  push(piece: Buffer): Buffer[] {
    if (!this.#check.push(piece) || piece.includes(0)) throw notText();
    return this.#content.push(piece);
  }

  finish(): Buffer[] {
    if (!this.#check.finish()) throw notText();
    return this.#content.finish();
  }
}

function notText(): GatewayError {
  return new GatewayError('mask_unprovable', 'The answer is not the text it says it is, so it cannot be masked.');
}

const noContent: ContentMask = {
  matches: 0,
  push(piece) {
    if (piece.length > 0) throw new GatewayError('mask_unprovable', 'An answer that has no content came with some.');
    return [];
  },
  finish: () => [],
};

class PlainMask implements ResponseMask {
  readonly dropHeaders = droppedHeaders;
  readonly setHeaders = setHeaders;
  readonly #content: ContentMask;

  constructor(content: ContentMask) {
    this.#content = content;
  }

  get matches(): number {
    return this.#content.matches;
  }

  push(piece: Buffer): Buffer[] {
    return this.#content.push(piece);
  }

  finish(): Buffer[] {
    return this.#content.finish();
  }

  close(): void {}
}

class DecodingMask implements ResponseMask {
  readonly dropHeaders = droppedHeaders;
  readonly setHeaders = setHeaders;
  readonly #content: ContentMask;
  readonly #decoder: Decoder;
  /** What is under way; a fault in it is one in all that follows. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(content: ContentMask, decoder: Decoder) {
    this.#content = content;
    this.#decoder = decoder;
  }

  get matches(): number {
    return this.#content.matches;
  }

  push(piece: Buffer): Promise<Buffer[]> {
    return this.#next(async () => (await this.#decoder.push(piece)).flatMap((decoded) => this.#content.push(decoded)));
  }

  finish(): Promise<Buffer[]> {
    return this.#next(async () => {
      const decoded = await this.#decoder.finish();
      return [...decoded.flatMap((piece) => this.#content.push(piece)), ...this.#content.finish()];
    });
  }

  close(): void {
    this.#decoder.close();
  }

  #next(work: () => Promise<Buffer[]>): Promise<Buffer[]> {
    const result = this.#last.then(work);
    this.#last = result;
    result.catch(() => this.close());
    return result;
  }
}
