import type { IncomingMessage } from 'node:http';
import type { CanonicalResult } from './contract.ts';

/**
 * What the requests of one connection were read as: reading is pure, and a client sends much the same head each time. The same
 * request gives the same object, so that what was made of it before can be found by it.
 */
export class RequestMemo {
  readonly #read: (request: IncomingMessage) => CanonicalResult;
  readonly #entriesMax: number;
  /** Of the request before; what is kept was said with these. */
  #headers: readonly string[] = [];
  readonly #kept = new Map<string, CanonicalResult>();

  /** @param entriesMax - request lines that are kept */
  constructor(read: (request: IncomingMessage) => CanonicalResult, entriesMax: number) {
    this.#read = read;
    this.#entriesMax = entriesMax;
  }

  read(request: IncomingMessage): CanonicalResult {
    const { method, url, httpVersion, rawHeaders } = request;
    if (!same(rawHeaders, this.#headers)) this.#kept.clear();
    this.#headers = rawHeaders;
    const line = `${httpVersion} ${method} ${url}`;
    const known = this.#kept.get(line);
    if (known !== undefined) return known;
    const result = this.#read(request);
    if (this.#kept.size >= this.#entriesMax) this.#kept.clear();
    this.#kept.set(line, result);
    return result;
  }
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}
