import type { Fault, Outcome } from '../../../core/types.ts';
import type { SftpOperationName } from './requests.ts';

/** One thing that a client wants done, as it is judged. Paths are absolute; empty where an operation has none. */
export interface SftpOperation {
  readonly operation: SftpOperationName;
  /** What the client wrote, made absolute and without `.`, `..` and doubled slashes, as if there were no links. */
  readonly path: string;
  /**
   * Where that is on the host: what will be opened or changed. For an operation on a link itself (lstat, remove, rename,
   * …) only the folder it is in is resolved. This, not `path`, is what is forwarded.
   */
  readonly resolved: string;
  /** rename, link: the new name. symlink: what it will point to, seen from its own folder. copy-data: the file written. */
  readonly target: string;
  readonly targetResolved: string;
  /** open: `read`, `write`, `append`, `create`, `truncate`, `exclusive`. */
  readonly flags: readonly string[];
  /** What is set (`size`, `owner`, `permissions`, `set_id`, `times`), and the name of an extension. For the trail. */
  readonly details: readonly string[];
  /** Content that comes with it. An open for both is an `upload` with `read` among its flags. */
  readonly direction: 'upload' | 'download' | 'none';
  /** Set when it is refused whatever policy says. */
  readonly fault?: Fault | undefined;
}

/** What the gate needs of the permit that an operation runs under; `Permit` of the core is one. */
export interface OperationPermit {
  /** Once it is false nothing more is forwarded under it: what the client asks of its handle is refused. */
  readonly open: boolean;
  complete(outcome: Outcome): void;
}

/** What came of judging an operation. */
export type SftpVerdict<P extends OperationPermit> =
  | {
      readonly permit: P;
      /** The most content that may go through the handle that is opened, and what the client is told past it. */
      readonly cap?: { readonly bytes: number; readonly text: string } | undefined;
    }
  /** What the client is told: the code and what can be done about it. */
  | { readonly refusal: string };

/** The content that went through one handle in one direction. */
export interface SftpTransfer {
  /** Where the file is on the host, as it was opened. */
  readonly path: string;
  readonly direction: 'upload' | 'download';
  readonly bytes: number;
  /** Every byte came once and in order, from the beginning of the file. */
  readonly sequential: boolean;
  /** Of those bytes, in hexadecimal; undefined unless they were sequential. */
  readonly sha256: string | undefined;
  /** The handle was closed and no read or write of it failed. It does not say that all of the file was read. */
  readonly complete: boolean;
}

/** An operation without paths, or before they are known. */
export function bareOperation(operation: SftpOperationName, more: Partial<SftpOperation> = {}): SftpOperation {
  return {
    operation,
    path: '',
    resolved: '',
    target: '',
    targetResolved: '',
    flags: [],
    details: [],
    direction: 'none',
    ...more,
  };
}

/** Which way content goes through a file that is opened with `flags`. Creating and truncating is writing. */
export function directionOf(flags: readonly string[]): SftpOperation['direction'] {
  if (flags.some((flag) => flag !== 'read')) return 'upload';
  return flags.length === 0 ? 'none' : 'download';
}
