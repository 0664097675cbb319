import type { Conversation, Expected } from './conversation.ts';
import type { ContentFlow } from './open-files.ts';
import type { OperationPermit } from './operation.ts';
import type { PacketSink } from './packet-reader.ts';
import { handleReplyBytesMax, headerBytes, packetTypes, replyPrefixBytes, statusCodes } from './packet-types.ts';
import { handleOf, readdressed, statusOf } from './replies.ts';

/**
 * The host's replies: each is matched with what was asked, given back the id that the client knows, and passed on. A
 * reply that fits nothing ends the channel: who answers what could not be told any more.
 */
export class HostReplies<P extends OperationPermit> implements PacketSink {
  readonly #talk: Conversation<P>;
  /** What the rest of the reply that was begun adds to, and whether it is passed on at all. */
  #flow: ContentFlow | undefined;
  #passing = false;

  constructor(talk: Conversation<P>) {
    this.#talk = talk;
  }

  prefixBytes(type: number, id: number, total: number): number {
    if (type === packetTypes.version || this.#talk.expected(id)?.kind === 'own') {
      // Past the bound it is not collected: `onPacket` sees that it is not whole.
      return Math.min(total, this.#talk.parts.limits.sftpRequestBytesMax);
    }
    if (type === packetTypes.handle) return handleReplyBytesMax;
    return type === packetTypes.data || type === packetTypes.status ? replyPrefixBytes : headerBytes;
  }

  onPacket(type: number, id: number, total: number, chunk: Buffer, from: number, to: number): boolean {
    const talk = this.#talk;
    if (talk.closed) return true;
    this.#flow = undefined;
    this.#passing = false;
    const whole = to - from === total;
    if (type === packetTypes.version) {
      if (!whole || talk.version === undefined) return this.#fail('The host sent a VERSION that nobody waits for.');
      talk.version(Buffer.from(chunk.subarray(from, to)));
      return false;
    }
    const expected = talk.expected(id);
    if (expected === undefined) return this.#fail('The host answered a request that was not made.');
    if (type !== packetTypes.status && type !== expected.reply)
      return this.#fail('The host answered something else than what was asked.');
    const status = statusOf(chunk.subarray(from, to));
    if (status === undefined) return this.#fail('A STATUS of the host is cut short.');
    if (expected.kind === 'own') {
      if (!whole) return this.#fail('An answer of the host is over the bound.');
      expected.answer(Buffer.from(chunk.subarray(from, to)));
      talk.answered(id);
      return false;
    }
    talk.answered(id);
    const pass = this.#settle(expected, type, status, total, chunk, from, to);
    if (pass === undefined) return true;
    if (pass) {
      readdressed(chunk.subarray(from, to), expected.id);
      talk.parts.toClient.range(chunk, from, to);
      this.#passing = true;
      talk.midReply = !whole;
    }
    return false;
  }

  onPart(chunk: Buffer, from: number, to: number, last: boolean): boolean {
    if (this.#talk.closed || !this.#passing) return this.#talk.closed;
    this.#flow?.add(chunk.subarray(from, to));
    this.#talk.parts.toClient.range(chunk, from, to);
    if (last) this.#talk.endOfReply();
    return false;
  }

  /** Does what the answer means. False when the client was told something else; undefined when the gate failed. */
  #settle(
    expected: Exclude<Expected<P>, { kind: 'own' }>,
    type: number,
    status: number,
    total: number,
    chunk: Buffer,
    from: number,
    to: number,
  ): boolean | undefined {
    const talk = this.#talk;
    switch (expected.kind) {
      case 'read': {
        const { file, offset, length, id } = expected;
        if (type === packetTypes.status) {
          if (status !== statusCodes.eof) file.failed = true;
          return true;
        }
        const content = total - replyPrefixBytes;
        if (to - from < replyPrefixBytes || chunk.readUInt32BE(from + headerBytes) !== content || content > length)
          return this.#failed('A DATA of the host is not as long as it says, or longer than what was asked.');
        if (file.exceeds(content) || !file.permit.open) {
          file.failed = true;
          talk.refuse(id, file.exceeds(content) ? (file.cap?.text ?? '') : 'The operation was ended.');
          return false;
        }
        this.#flow = file.download;
        this.#flow?.begin(offset);
        this.#flow?.add(chunk.subarray(from + replyPrefixBytes, to));
        return true;
      }
      case 'write':
        if (status === statusCodes.ok) return true;
        expected.file.failed = true;
        expected.file.upload?.disorder();
        return true;
      case 'open': {
        talk.opening--;
        if (type === packetTypes.status) {
          expected.permit.complete({ status: 'error', code: String(status) });
          return true;
        }
        const handle = to - from === total ? handleOf(chunk.subarray(from, to)) : undefined;
        if (handle === undefined || talk.files.has(handle)) {
          expected.permit.complete({ status: 'error' });
          return this.#failed('A HANDLE of the host is malformed, or open already.');
        }
        talk.files.set(handle, expected.opened());
        return true;
      }
      case 'close':
        if (status !== statusCodes.ok) expected.file.failed = true;
        talk.finish(expected.file, true);
        return true;
      case 'once':
        expected.permit.complete({ status: status === statusCodes.ok ? 'ok' : 'error', code: String(status) });
        return true;
      case 'passed':
        return true;
    }
  }

  #fail(message: string): true {
    this.#talk.fail('operation_malformed', message);
    return true;
  }

  #failed(message: string): undefined {
    this.#talk.fail('operation_malformed', message);
  }
}
