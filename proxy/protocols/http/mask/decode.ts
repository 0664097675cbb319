import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { GatewayError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';

/** Takes a content coding off an answer. One call at a time. */
export interface Decoder {
  /** Takes the next piece. Rejects with a GatewayError when it is not in the coding, or comes to more than the bounds. */
  push(piece: Buffer): Promise<Buffer[]>;
  /** Rejects when the coding does not end here. */
  finish(): Promise<Buffer[]>;
  /** Frees what it holds; for answers that are left before their end. */
  close(): void;
}

/** What all decoders of the platform are. */
type ZlibStream = Transform & { readonly bytesWritten: number };

const codings: Readonly<Record<string, () => ZlibStream>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/**
 * Makes the decoder of a content coding (RFC 9110 section 8.4.1).
 *
 * @returns undefined for one that is not known, and for several: nobody needs them, and each multiplies what a byte can come to
 */
export function createDecoder(coding: string, bounds: DecoderBounds): Decoder | undefined {
  const name = coding.toLowerCase();
  const create = Object.hasOwn(codings, name) ? codings[name] : undefined;
  return create === undefined ? undefined : new ZlibDecoder(create(), bounds);
}

/** What an answer may come to. */
export type DecoderBounds = Pick<Limits, 'httpDecodedBytesMax' | 'httpDecodedRatioMax'>;

/** So much may come out whatever went in: a short answer may be of one byte, again and again. */
const freeBytes = 64 * 1024;

class ZlibDecoder implements Decoder {
  readonly #stream: ZlibStream;
  readonly #bounds: DecoderBounds;
  #taken = 0;
  #given = 0;
  #out: Buffer[] = [];
  #ended = false;
  #error: GatewayError | undefined;
  /** Whoever waits for the end of a step. */
  #settle = () => {};

  constructor(stream: ZlibStream, bounds: DecoderBounds) {
    this.#stream = stream;
    this.#bounds = bounds;
    stream.on('data', (piece: Buffer) => this.#give(piece));
    stream.on('end', () => {
      this.#ended = true;
      // What stands behind the end of the coding is nobody's content.
      if (stream.bytesWritten !== this.#taken) this.#error ??= broken();
      this.#settle();
    });
    stream.on('error', (cause) => {
      this.#error ??= new GatewayError('mask_unprovable', 'The answer is not in the content coding it says.', {
        cause,
      });
      this.#settle();
    });
  }

  push(piece: Buffer): Promise<Buffer[]> {
    this.#taken += piece.length;
    if (this.#ended && piece.length > 0) this.#error ??= broken();
    return this.#step((done) => this.#stream.write(piece, done));
  }

  finish(): Promise<Buffer[]> {
    return this.#step((done) => {
      if (this.#ended) done();
      this.#stream.end();
    });
  }

  close(): void {
    this.#error ??= new GatewayError('mask_unprovable', 'The answer was left before its end.');
    this.#stream.destroy();
  }

  #step(work: (done: () => void) => void): Promise<Buffer[]> {
    return new Promise((resolve, reject) => {
      this.#settle = () => {
        if (this.#error !== undefined) reject(this.#error);
        else resolve(this.#take());
      };
      if (this.#error === undefined) work(this.#settle);
      else this.#settle();
    });
  }

  #give(piece: Buffer): void {
    const { httpDecodedBytesMax, httpDecodedRatioMax } = this.#bounds;
    this.#given += piece.length;
    if (this.#given <= Math.min(httpDecodedBytesMax, freeBytes + httpDecodedRatioMax * this.#taken)) {
      this.#out.push(piece);
      return;
    }
    this.#error ??= new GatewayError('limit_reached', 'The answer comes to more than the bound once it is decoded.');
    this.#out = [];
    this.#stream.destroy(this.#error);
  }

  #take(): Buffer[] {
    // What is still buffered is given by reading it.
    while (this.#stream.read() !== null);
    const out = this.#out;
    this.#out = [];
    return out;
  }
}

function broken(cause?: unknown): GatewayError {
  return new GatewayError('mask_unprovable', 'The answer is not in the content coding it says.', { cause });
}
