import { GatewayError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import { HeldBytes, Utf8Check } from '../../../core/masker.ts';
import type { ReadyMasks } from './content.ts';
import { MessageMask } from './message.ts';

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
 * The data of an event is masked as a message of its own ({@link MessageMask}).
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamMask {
  readonly #mask: MessageMask;
  readonly #bytesMax: number;
  readonly #utf8 = new Utf8Check();
  readonly #line = new HeldBytes();
  #afterReturn = false;
  #isFirst = true;
  #fields = '';
  #data: string[] = [];
  /** Of the event so far. */
  #bytes = 0;

  constructor(masks: ReadyMasks, { httpEventBytesMax }: Pick<Limits, 'httpEventBytesMax'>) {
    this.#mask = new MessageMask(masks);
    this.#bytesMax = httpEventBytesMax;
  }

  get matches(): number {
    return this.#mask.matches;
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
    return this.#mask.mask(Buffer.from(data)).toString('utf8');
  }

  #text(text: string): string {
    return this.#mask.text(Buffer.from(text)).toString('utf8');
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
