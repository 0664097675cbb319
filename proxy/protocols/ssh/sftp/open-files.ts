import { createHash, type Hash } from 'node:crypto';
import type { OperationPermit, SftpTransfer } from './operation.ts';

/** Content that goes one way through one handle: counted, and hashed for as long as it comes in order. */
export class ContentFlow {
  #bytes = 0;
  #next = 0;
  #hash: Hash | undefined = createHash('sha256');

  get bytes(): number {
    return this.#bytes;
  }

  /** Content for `offset` of the file is about to be added. */
  begin(offset: number): void {
    if (offset !== this.#next) this.disorder();
  }

  add(content: Buffer): void {
    this.#bytes += content.length;
    this.#next += content.length;
    this.#hash?.update(content);
  }

  /** What went through cannot be hashed as one file from here on. */
  disorder(): void {
    this.#hash = undefined;
  }

  /** The hash in hexadecimal, once; undefined when the content was out of order. */
  digest(): string | undefined {
    const hash = this.#hash;
    this.#hash = undefined;
    return hash?.digest('hex');
  }
}

/** What was opened, from the host's HANDLE to the answer of its CLOSE. */
export class OpenFile<P extends OperationPermit> {
  readonly permit: P;
  readonly path: string;
  readonly resolved: string;
  readonly folder: boolean;
  readonly download: ContentFlow | undefined;
  readonly upload: ContentFlow | undefined;
  readonly cap: { readonly bytes: number; readonly text: string } | undefined;
  /** A read or a write failed, or was refused. */
  failed = false;
  #finished = false;

  constructor(opened: {
    permit: P;
    path: string;
    resolved: string;
    folder: boolean;
    flags: readonly string[];
    cap: OpenFile<P>['cap'];
  }) {
    this.permit = opened.permit;
    this.path = opened.path;
    this.resolved = opened.resolved;
    this.folder = opened.folder;
    this.cap = opened.cap;
    this.download = opened.flags.includes('read') ? new ContentFlow() : undefined;
    this.upload = opened.flags.includes('write') ? new ContentFlow() : undefined;
    // Wherever a write says it goes, the host puts it behind what the file had.
    if (opened.flags.includes('append')) this.upload?.disorder();
  }

  /** Whether `more` bytes of content would go over the cap. */
  exceeds(more: number): boolean {
    return this.cap !== undefined && this.bytes + more > this.cap.bytes;
  }

  get bytes(): number {
    return (this.download?.bytes ?? 0) + (this.upload?.bytes ?? 0);
  }

  /**
   * Ends the operation that opened it: `closed` by its client, or with the channel. Returns what went through, by
   * direction; nothing the second time.
   */
  finish(closed: boolean): SftpTransfer[] {
    if (this.#finished) return [];
    this.#finished = true;
    const complete = closed && !this.failed;
    this.permit.complete({ status: complete ? 'ok' : closed ? 'error' : 'aborted', bytes: this.bytes });
    const of = (direction: SftpTransfer['direction'], flow: ContentFlow | undefined): SftpTransfer[] => {
      if (flow === undefined) return [];
      const sha256 = flow.digest();
      const { bytes } = flow;
      return [{ path: this.resolved, direction, bytes, sequential: sha256 !== undefined, sha256, complete }];
    };
    return [...of('download', this.download), ...of('upload', this.upload)];
  }
}
