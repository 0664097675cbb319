import type { Fault } from '../../../core/types.ts';
import { ClientRequests } from './client-requests.ts';
import { Conversation, type SftpGateParts } from './conversation.ts';
import { HostReplies } from './host-replies.ts';
import { Judge } from './judge.ts';
import type { OperationPermit } from './operation.ts';
import { PacketReader, type PacketSink } from './packet-reader.ts';

/**
 * The gate in one SFTP stream: takes what both sides send and hands on what may go on. Does no I/O of its own.
 *
 * Ids are written into the chunks it is given, so that content is forwarded without being copied: give it chunks that
 * nobody else reads.
 */
export interface SftpGate {
  /**
   * Bytes of the client. Undefined when more can be taken at once; otherwise a promise that never rejects: wait for it
   * before the next call, before the client's EOF is passed on, and hold the client's stream meanwhile.
   */
  fromClient(chunk: Buffer): Promise<void> | undefined;
  /** Bytes of the host; otherwise the same. Neither waits for the other: both have to be fed at once. */
  fromHost(chunk: Buffer): Promise<void> | undefined;
  /** The fault of a client that ended in the middle of a packet. */
  clientEnded(): Fault | undefined;
  /** The channel has ended: tells of all transfers and permits that are still open. Safe to call twice. */
  close(): void;
}

/** Makes the gate of one SFTP stream, before its first byte. */
export function createSftpGate<P extends OperationPermit>(parts: SftpGateParts<P>): SftpGate {
  const talk = new Conversation(parts);
  const requests = new ClientRequests(talk, new Judge(talk));
  const replies = new HostReplies(talk);
  const clientReader = new PacketReader(parts.limits.sftpPacketBytesMax);
  const hostReader = new PacketReader(parts.limits.sftpPacketBytesMax);

  /** Reads `chunk` until it must wait; returns what is left of it. */
  function read(reader: PacketReader, sink: PacketSink, chunk: Buffer, waits: () => boolean): Buffer {
    let rest = chunk;
    while (rest.length > 0 && !waits()) {
      const consumed = guarded(() => reader.push(rest, sink));
      if (typeof consumed !== 'number') {
        if (consumed !== undefined) talk.fail(consumed.code, consumed.message);
        break;
      }
      rest = rest.subarray(consumed);
    }
    if (!talk.closed) guarded(() => talk.flush());
    return rest;
  }

  /** Nothing is thrown at the streams. The message of an unforeseen error may quote anything: it is not passed on. */
  function guarded<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch {
      talk.fail('internal_error', 'The gateway failed while relaying SFTP.');
      return undefined;
    }
  }

  /** The rest of a packet that was begun never waits: what it belongs to is decided. */
  const clientWaits = () => talk.closed || (talk.clientWaits && !clientReader.midPacket);
  const readClient = (chunk: Buffer) => read(clientReader, requests, chunk, clientWaits);

  let waiting = false;

  async function goOn(rest: Buffer): Promise<void> {
    waiting = true;
    for (let left = rest; ; left = readClient(left)) {
      // It throws when the gate has ended: then there is nothing to wait for.
      await talk.until(() => !clientWaits()).catch(() => {});
      if (!talk.closed) await talk.full('host');
      if (!talk.closed) await talk.full('client');
      if (talk.closed || (left.length === 0 && !clientWaits())) break;
    }
    waiting = false;
  }

  return {
    fromClient(chunk) {
      // What overtakes a request that waits would be judged and forwarded out of its order.
      if (waiting) talk.fail('internal_error', 'The client was read while it had to wait.');
      const rest = readClient(chunk);
      if (talk.closed) return undefined;
      if (rest.length === 0 && !clientWaits() && talk.full('host') === undefined) return talk.full('client');
      return goOn(rest);
    },
    fromHost(chunk) {
      read(hostReader, replies, chunk, () => talk.closed);
      return talk.closed ? undefined : talk.full('client');
    },
    clientEnded() {
      if (talk.closed || clientReader.atBoundary) return undefined;
      return { code: 'operation_malformed', message: 'The client ended in the middle of a packet.' };
    },
    close: () => talk.close(),
  };
}
