/** Streams of events as MCP uses them: each event is one JSON-RPC message. */
import { GatewayError } from '../../../core/errors.ts';
import { limits } from '../../../core/limits.ts';

/** One event of an upstream. */
export interface SseEvent {
  /** Where the stream may be taken up again behind it. */
  readonly id: string | undefined;
  /** The event's type; `message` unless it says otherwise. */
  readonly type: string;
  readonly data: string;
  readonly retry: number | undefined;
}

const lineFeed = 10;
const carriageReturn = 13;
const colon = 58;
const lineBytesFirst = 1024;

/**
 * Reads a stream of events, however it is cut into chunks.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseReader {
  /** The line that has not ended, in the beginning of a buffer that grows. */
  #line = Buffer.alloc(lineBytesFirst);
  #length = 0;
  /** Of the whole event. */
  #bytes = 0;
  #afterReturn = false;
  #first = true;
  #data: string[] = [];
  #id: string | undefined;
  #type = '';
  #retry: number | undefined;

  /**
   * @returns the events that end in this chunk.
   * @throws GatewayError `operation_too_large` for an event past its bound, `operation_unparseable` when it is not UTF-8.
   */
  push(chunk: Uint8Array): readonly SseEvent[] {
    const events: SseEvent[] = [];
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#afterReturn = false;
        continue;
      }
      const second = byte === lineFeed && this.#afterReturn;
      this.#afterReturn = byte === carriageReturn;
      if (!second) {
        this.#keep(chunk.subarray(from, at));
        const event = this.#read();
        if (event !== undefined) events.push(event);
      }
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
    return events;
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#bytes > limits.mcpEventBytesMax) {
      throw new GatewayError('operation_too_large', 'An event of the server is larger than the gateway reads.');
    }
    if (this.#length + piece.length > this.#line.length) {
      const grown = Buffer.alloc(2 * (this.#length + piece.length));
      this.#line.copy(grown, 0, 0, this.#length);
      this.#line = grown;
    }
    this.#line.set(piece, this.#length);
    this.#length += piece.length;
  }

  #read(): SseEvent | undefined {
    const line = this.#line.subarray(0, this.#length);
    this.#length = 0;
    const start = this.#first && line.subarray(0, 3).equals(byteOrderMark) ? 3 : 0;
    this.#first = false;
    if (line.length === start) return this.#dispatch();
    if (line[start] === colon) return undefined;
    const [, field = '', value = ''] = /^([^:]*)(?::[ ]?(.*))?$/s.exec(decode(line.subarray(start))) ?? [];
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#type = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.#retry = Number(value);
    return undefined;
  }

  #dispatch(): SseEvent | undefined {
    const event = {
      id: this.#id || undefined,
      type: this.#type || 'message',
      data: this.#data.join('\n'),
      retry: this.#retry,
    };
    const empty = this.#data.length === 0 && event.id === undefined && event.retry === undefined;
    [this.#data, this.#id, this.#type, this.#retry, this.#bytes] = [[], undefined, '', undefined, 0];
    return empty ? undefined : event;
  }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new GatewayError('operation_unparseable', 'An event of the server is not UTF-8.', { cause });
  }
}

/** An event for a client. Without data it only says where the client may take the stream up again. */
export function sseEvent(event: {
  readonly data: string;
  readonly id?: string | undefined;
  readonly retry?: number | undefined;
}): string {
  const { data, id, retry } = event;
  const head = `${id === undefined ? '' : `id: ${id}\n`}${retry === undefined ? '' : `retry: ${retry}\n`}`;
  return `${data === '' ? '' : 'event: message\n'}${head}data: ${data.replaceAll(/\r\n|\r|\n/g, '\ndata: ')}\n\n`;
}

/** A comment that keeps a client waiting for an event: sent every few seconds while an operation is held. */
export const keepAliveText = ': keep-alive\n\n';
