import type { Fault } from '../../../core/types.ts';
import type { Conversation } from './conversation.ts';
import { type Judge, refusalStatus } from './judge.ts';
import type { ContentFlow, OpenFile } from './open-files.ts';
import { bareOperation, type OperationPermit, type SftpOperation } from './operation.ts';
import type { PacketSink } from './packet-reader.ts';
import { handleBytesMax, headerBytes, packetTypes, sftpVersion, writePrefixBytesMax } from './packet-types.ts';
import { readdressed } from './replies.ts';
import { parseRequest, type Request } from './requests.ts';

/**
 * The client's requests, strictly in their order. What is done with an open handle is forwarded at once, under the permit
 * that opened it; everything else goes to the judge, and what comes behind it waits.
 */
export class ClientRequests<P extends OperationPermit> implements PacketSink {
  readonly #talk: Conversation<P>;
  readonly #judge: Judge<P>;
  /** The WRITE whose data is being forwarded. */
  #writing: { readonly file: OpenFile<P>; readonly flow: ContentFlow } | undefined;
  #begun = false;

  constructor(talk: Conversation<P>, judge: Judge<P>) {
    this.#talk = talk;
    this.#judge = judge;
  }

  prefixBytes(type: number, _id: number, total: number): number {
    if (type === packetTypes.write) return writePrefixBytesMax;
    return total > this.#talk.parts.limits.sftpRequestBytesMax ? headerBytes : total;
  }

  onPacket(type: number, id: number, total: number, chunk: Buffer, from: number, to: number): boolean {
    const talk = this.#talk;
    if (talk.closed) return true;
    this.#writing = undefined;
    const start = chunk.subarray(from, to);
    if ((type === packetTypes.init) === this.#begun) {
      talk.fail('operation_malformed', 'SFTP begins with one INIT, and has no other.');
    } else if (type === packetTypes.init) {
      this.#begun = true;
      if (id < sftpVersion) talk.fail('operation_unsupported', 'Only version 3 of SFTP is spoken.');
      else this.#judge.begin();
    } else if (type === packetTypes.write) {
      this.#write(id, total, chunk, from, to);
    } else if (to - from < total) {
      this.#refuse(id, { code: 'operation_too_large', message: 'A request is longer than any of its kind.' });
    } else {
      const request = parseRequest(start, talk.parts.limits.sftpPathBytesMax);
      if ('fault' in request) {
        this.#refuse(id, request.fault, bareOperation(request.operation));
        return talk.clientWaits;
      }
      const { operation } = request.shape;
      if (operation !== undefined) this.#judge.judge({ ...request, operation });
      else if (request.handles.length === 0) this.#judge.lookUp(request);
      else this.#withHandle(request, start, chunk, from, to);
    }
    return talk.clientWaits;
  }

  onPart(chunk: Buffer, from: number, to: number, last: boolean): boolean {
    const writing = this.#writing;
    if (writing !== undefined && !this.#talk.closed) this.#goOn(writing, chunk, from, to);
    // What comes behind a refused packet waits until its refusal is out.
    return this.#talk.closed || (last && this.#talk.clientWaits);
  }

  #goOn(writing: { file: OpenFile<P>; flow: ContentFlow }, chunk: Buffer, from: number, to: number): void {
    if (!writing.file.permit.open) {
      // The host has the beginning of the packet: it cannot be taken back, and nothing else can follow it.
      this.#talk.fail('session_ended', 'The operation was ended in the middle of a WRITE.');
      return;
    }
    writing.flow.add(chunk.subarray(from, to));
    this.#talk.parts.toHost.forward(writing.file.permit, chunk, from, to);
  }

  /** @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-6.4 */
  #write(id: number, total: number, chunk: Buffer, from: number, to: number): void {
    const talk = this.#talk;
    const handleAt = from + headerBytes + 4;
    const handleBytes = to >= handleAt ? chunk.readUInt32BE(handleAt - 4) : handleBytesMax + 1;
    const offsetAt = handleAt + handleBytes;
    const dataAt = offsetAt + 12;
    // A handle within its bound lies in the prefix with all that follows it up to the data, or the packet is too short.
    if (handleBytes > handleBytesMax || dataAt > to || chunk.readUInt32BE(dataAt - 4) !== total - (dataAt - from)) {
      this.#refuse(id, { code: 'operation_malformed', message: 'A WRITE is not as long as it says.' });
      return;
    }
    const file = talk.files.get(chunk.toString('latin1', handleAt, offsetAt));
    const flow = file?.upload;
    const why = file === undefined ? notOpen : flow === undefined ? notForThis : usable(file);
    if (file === undefined || flow === undefined || why !== undefined) {
      this.#refuse(id, why ?? notForThis, bareOperation('open', { direction: 'upload' }));
      return;
    }
    if (file.exceeds(total - (dataAt - from))) {
      file.failed = true;
      flow.disorder();
      talk.refuse(id, file.cap?.text ?? '');
      return;
    }
    flow.begin(chunk.readUInt32BE(offsetAt) * 2 ** 32 + chunk.readUInt32BE(offsetAt + 4));
    flow.add(chunk.subarray(dataAt, to));
    const hostId = talk.expect({ kind: 'write', id, file, reply: packetTypes.status, changes: false });
    readdressed(chunk.subarray(from, to), hostId);
    talk.parts.toHost.forward(file.permit, chunk, from, to);
    this.#writing = { file, flow };
  }

  /** READ, READDIR, FSTAT, CLOSE, …: forwarded as they are, under another id. */
  #withHandle(request: Request, start: Buffer, chunk: Buffer, from: number, to: number): void {
    const talk = this.#talk;
    const { shape, id, handles, numbers } = request;
    const [handle = ''] = handles;
    const file = talk.files.get(handle);
    const closes = shape.type === packetTypes.close;
    const why = file === undefined ? notOpen : closes ? undefined : (usable(file) ?? unfit(shape.type, file));
    if (file === undefined || why !== undefined) {
      this.#refuse(id, why ?? notOpen, bareOperation('open'));
      return;
    }
    const common = { id, file, reply: shape.reply, changes: false } as const;
    let hostId: number;
    if (closes) {
      // From here on the handle is nobody's: the host may give the same one to whatever is opened next.
      talk.files.delete(handle);
      hostId = talk.expect({ kind: 'close', ...common });
    } else if (shape.type === packetTypes.read) {
      const [offset = 0, length = 0] = numbers;
      hostId = talk.expect({ kind: 'read', offset, length, ...common });
    } else {
      hostId = talk.expect({ kind: 'passed', ...common });
    }
    readdressed(start, hostId);
    talk.parts.toHost.forward(file.permit.open ? file.permit : talk.parts.permit, chunk, from, to);
  }

  /** Refused whatever policy says, and audited as such. */
  #refuse(id: number, fault: Fault, operation: SftpOperation = bareOperation('extended')): void {
    this.#judge.refuse(id, { ...operation, fault }, refusalStatus(fault));
  }
}

const notOpen: Fault = { code: 'operation_malformed', message: 'This handle is not open.' };
const notForThis: Fault = { code: 'operation_malformed', message: 'This handle was not opened for that.' };
const ended: Fault = { code: 'session_ended', message: 'The operation that opened this handle was ended.' };

function usable<P extends OperationPermit>(file: OpenFile<P>): Fault | undefined {
  return file.permit.open ? undefined : ended;
}

/** A handle serves what it was opened for: a host might be less strict. */
function unfit<P extends OperationPermit>(type: number, file: OpenFile<P>): Fault | undefined {
  if (type === packetTypes.read) return file.download === undefined ? notForThis : undefined;
  if (type === packetTypes.readdir) return file.folder ? undefined : notForThis;
  return undefined;
}
