import { GatewayError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import { createJsonMasker, createTextMasker, HeldBytes, type JsonMasker, Utf8Check } from '../../../core/masker.ts';
import type { ReadyMasks } from './content.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = '\ufeff';
/** What streams of JSON end with by custom, and what is no JSON. */
const endMark = '[DONE]';

/**
 * Masks a stream of events, each when it is whole. What goes out is written anew, so that no reader can take it for something
 * else: comments and the four fields of the specification, lines ended by LF. An event without its empty line is dropped, as
 * readers do.
 *
 * The data of an event is masked as JSON where it is that, with detectors in its strings, and as text where not; but where paths
 * are masked it has to be JSON.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamMask {
  readonly #masks: ReadyMasks;
  readonly #bytesMax: number;
  readonly #utf8 = new Utf8Check();
  readonly #line = new HeldBytes();
  #json: JsonMasker;
  /** Of texts, and of maskers that were given up. */
  #otherMatches = 0;
  #afterReturn = false;
  #isFirst = true;
  #fields = '';
  #data: string[] = [];
  /** Of the event so far. */
  #bytes = 0;

  constructor(masks: ReadyMasks, { httpEventBytesMax }: Pick<Limits, 'httpEventBytesMax'>) {
    this.#masks = masks;
    this.#bytesMax = httpEventBytesMax;
    this.#json = createJsonMasker(masks);
  }

  get matches(): number {
    return this.#json.matches + this.#otherMatches;
  }

  push(piece: Buffer): Buffer[] {
    if (!this.#utf8.push(piece)) throw malformed();
    const out: string[] = [];
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at];
      if (byte === lineFeed || byte === carriageReturn) {
        const isSecond = byte === lineFeed && this.#afterReturn;
        if (!isSecond) out.push(this.#take(piece, from, at));
        from = at + 1;
        this.#afterReturn = byte === carriageReturn;
      } else this.#afterReturn = false;
    }
    this.#keep(piece, from, piece.length);
    const text = out.join('');
    return text === '' ? [] : [Buffer.from(text)];
  }

  finish(): Buffer[] {
    if (!this.#utf8.finish()) throw malformed();
    return [];
  }

  #keep(piece: Buffer, from: number, to: number): void {
    this.#bytes += to - from;
    if (this.#bytes > this.#bytesMax) {
      throw new GatewayError('limit_reached', 'An event of the answer is longer than the bound allows.');
    }
    this.#line.append(piece, from, to);
  }

  /** A line that ended: what can be said by now. */
  #take(piece: Buffer, from: number, to: number): string {
    this.#keep(piece, from, to);
    const line = this.#line.bytes.toString('utf8', 0, this.#line.length);
    this.#line.clear();
    if (this.#isFirst && line.startsWith(byteOrderMark)) throw malformed();
    this.#isFirst = false;
    if (line === '') return this.#event();
    if (line.startsWith(':')) {
      if (this.#data.length === 0 && this.#fields === '') this.#bytes = 0;
      return `:${lines(this.#text(line.slice(1)))[0] ?? ''}\n`;
    }
    const [, name = '', value = ''] = /^([^:]*)(?::[ ]?(.*))?$/s.exec(line) ?? [];
    if (name === 'data') this.#data.push(value);
    else if (name === 'event' || name === 'id') this.#fields += `${name}: ${lines(this.#text(value)).join(' ')}\n`;
    else if (name === 'retry' && /^\d+$/.test(value)) this.#fields += `retry: ${value}\n`;
    return '';
  }

  #event(): string {
    const data =
      this.#data.length === 0
        ? ''
        : lines(this.#masked(this.#data.join('\n')))
            .map((line) => `data: ${line}\n`)
            .join('');
    const event = this.#fields + data;
    this.#fields = '';
    this.#data = [];
    this.#bytes = 0;
    return event === '' ? '' : `${event}\n`;
  }

  #masked(data: string): string {
    if (data.trim() === '' || data === endMark) return data;
    const before = this.#json.matches;
    try {
      return Buffer.concat([...this.#json.push(Buffer.from(data)), ...this.#json.finish()]).toString('utf8');
    } catch (error) {
      const isOther = error instanceof GatewayError && error.code === 'mask_unprovable';
      if (this.#masks.hasPaths || !isOther) throw error;
      this.#json = createJsonMasker(this.#masks);
      this.#otherMatches += before;
      return this.#text(data);
    }
  }

  #text(text: string): string {
    if (this.#masks.text === undefined) return text;
    const made = createTextMasker(this.#masks.text);
    if ('error' in made) throw new GatewayError('mask_unknown', made.error);
    const masked = made.masker.push(text) + made.masker.finish();
    this.#otherMatches += made.masker.matches;
    return masked;
  }
}

/** What a mask writes may have line ends of its own. */
function lines(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}

function malformed(): GatewayError {
  return new GatewayError(
    'mask_unprovable',
    'The answer is not the stream of events it says it is, so it cannot be masked.',
  );
}
