import type { Readable } from 'node:stream';
import { AwsV4Signer } from 'aws4fetch';
import { Agent, type Dispatcher, request } from 'undici';
import { beginningOf } from '../core/beginning.ts';
import { limits } from '../core/limits.ts';

/** Where a bucket is, and who asks. */
export interface BucketOptions {
  /** `https://host[:port]`, without a slash at its end. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Of every key, without a slash at its ends; empty for none. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
}

/** What becomes an object. */
export interface Content {
  readonly bytes: number;
  readonly sha256: Buffer;
  readonly body: () => Readable;
}

/**
 * A bucket of S3 or of what speaks like it, addressed by path. Requests are signed over the digest of what they carry, which is also
 * sent as the object's checksum: bytes that changed on their way are refused there.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export class S3Bucket {
  readonly #options: BucketOptions;
  readonly #agent: Agent;

  constructor(options: BucketOptions) {
    const { ca } = options;
    this.#options = options;
    this.#agent = new Agent({
      connections: 1,
      headersTimeout: limits.recordUploadStallMs,
      bodyTimeout: limits.recordUploadStallMs,
      connect: { timeout: limits.recordUploadStallMs, ...(ca !== undefined && { ca }) },
    });
  }

  /**
   * Whether an object with this digest is there already. False where that may not be asked: credentials that can only write are
   * good ones.
   */
  async has(key: string, sha256: Buffer, signal: AbortSignal): Promise<boolean> {
    const { statusCode, headers, body } = await this.#request('HEAD', key, { signal });
    await body.dump();
    return statusCode === 200 && headers['x-amz-meta-sha256'] === sha256.toString('hex');
  }

  /** @throws Error unless the object is stored */
  async put(key: string, { bytes, sha256, body }: Content, signal: AbortSignal): Promise<void> {
    const hex = sha256.toString('hex');
    const answer = await this.#request('PUT', key, {
      signal,
      body,
      headers: {
        'content-length': String(bytes),
        'content-type': 'application/octet-stream',
        'x-amz-checksum-sha256': sha256.toString('base64'),
        'x-amz-content-sha256': hex,
        'x-amz-meta-sha256': hex,
      },
    });
    const { statusCode } = answer;
    const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(
      await beginningOf(answer.body, limits.recordUploadAnswerBytesMax),
    )?.[1];
    if (statusCode !== 200) throw new Error(`the bucket answered ${statusCode}${code === undefined ? '' : ` ${code}`}`);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #request(
    method: 'HEAD' | 'PUT',
    key: string,
    about: { signal: AbortSignal; headers?: Record<string, string>; body?: () => Readable },
  ): Promise<Dispatcher.ResponseData> {
    const { endpoint, region, bucket, prefix, accessKeyId, secretAccessKey } = this.#options;
    const signed = await new AwsV4Signer({
      ...{ method, region, accessKeyId, secretAccessKey, service: 's3' },
      url: `${endpoint}/${bucket}/${prefix === '' ? '' : `${prefix}/`}${key}`,
      headers: { 'x-amz-content-sha256': emptySha256, ...about.headers },
    }).sign();
    return await request(signed.url, {
      method,
      dispatcher: this.#agent,
      signal: about.signal,
      headers: { ...Object.fromEntries(signed.headers), 'user-agent': 'sallyport' },
      body: about.body?.() ?? null,
    });
  }
}

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
