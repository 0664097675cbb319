/** The wire format of SFTP version 3 and OpenSSH's extensions: bytes in, values out, no I/O. */
export { packet, string, uint32, uint64 } from './bytes.ts';
export { PacketReader, type PacketSink } from './packet-reader.ts';
export { headerBytes, packetTypes, statusCodes } from './packet-types.ts';
export {
  clampedLimits,
  handleOf,
  initPacket,
  pathOf,
  readdressed,
  statusOf,
  statusReply,
  visibleVersion,
} from './replies.ts';
export { encodeRequest, isKnownExtension, parseRequest, type Request, type RequestShape } from './requests.ts';
