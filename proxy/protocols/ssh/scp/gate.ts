import type { Fault } from '../../../core/types.ts';
import { ScpConversation, type ScpFile, type ScpOptions } from './conversation.ts';

/** Takes bytes; the promise, if there is one, is of when it takes more. It never rejects. */
export type ByteSink = (bytes: Buffer) => Promise<void> | undefined;

/** What a gate is connected to. */
export interface ScpGateParts extends Omit<ScpOptions, 'file'> {
  /** `upload`: the client is the source (`scp -t` runs on the host); `download`: the host is (`scp -f`). */
  readonly direction: 'upload' | 'download';
  readonly toHost: ByteSink;
  readonly toClient: ByteSink;
  recordFile(file: ScpFile & { readonly direction: 'upload' | 'download' }): void;
  /** Called once: the streams cannot be followed any further, and the channel must end. */
  fail(fault: Fault): void;
}

/** The gate in the streams of one scp. Bytes pass unchanged; what a source sends too early is held until its turn. */
export interface ScpGate {
  /**
   * Bytes of the client. Undefined when more can be taken at once; otherwise a promise that never rejects: wait for it
   * before the next call, and hold the client's stream meanwhile.
   */
  fromClient(chunk: Buffer): Promise<void> | undefined;
  /** Bytes of the host; otherwise the same. Neither waits for the other: both have to be fed at once. */
  fromHost(chunk: Buffer): Promise<void> | undefined;
  /** The channel has ended: tells of a file that is unfinished, and lets go of who waits. Safe to call twice. */
  close(): void;
}

/** Makes the gate of one scp, before its first byte. */
export function createScpGate(parts: ScpGateParts): ScpGate {
  const { direction, limits, names, toHost, toClient } = parts;
  const talk = new ScpConversation({ limits, names, file: (file) => parts.recordFile({ ...file, direction }) });
  let closed = false;
  let wake = () => {};
  let held = false;

  function close(): void {
    if (closed) return;
    closed = true;
    talk.finish();
    wake();
  }

  function fail(fault: Fault): undefined {
    if (closed) return;
    close();
    parts.fail(fault);
  }

  function fromSource(chunk: Buffer, to: ByteSink): Promise<void> | undefined {
    if (closed) return undefined;
    if (held) return fail({ code: 'internal_error', message: 'A source of scp was read while it had to wait.' });
    let full: Promise<void> | undefined;
    const read = talk.source(chunk, (bytes) => {
      full = to(bytes) ?? full;
    });
    if (typeof read !== 'number') return fail(read);
    return read === chunk.length ? full : goOn(chunk.subarray(read), full, to);
  }

  /** The source has to wait: for the sink's answer, and then for whom its bytes go to. */
  async function goOn(rest: Buffer, full: Promise<void> | undefined, to: ByteSink): Promise<void> {
    held = true;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    await full;
    held = false;
    await fromSource(rest, to);
  }

  function fromSink(chunk: Buffer, to: ByteSink): Promise<void> | undefined {
    if (closed) return undefined;
    const fault = talk.sink(chunk);
    if (fault !== undefined) return fail(fault);
    const full = to(chunk);
    wake();
    return full;
  }

  return direction === 'upload'
    ? { fromClient: (chunk) => fromSource(chunk, toHost), fromHost: (chunk) => fromSink(chunk, toClient), close }
    : { fromClient: (chunk) => fromSink(chunk, toHost), fromHost: (chunk) => fromSource(chunk, toClient), close };
}
