/**
 * The numbers of SFTP version 3.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-3
 */
export const packetTypes = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
  extended: 200,
  extendedReply: 201,
} as const;

/** What a STATUS says. @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-7 */
export const statusCodes = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

/** The only version that is spoken: OpenSSH's. Later ones have other packets. */
export const sftpVersion = 3;

/** Length, type and request id (or version): what every packet begins with. */
export const headerBytes = 9;

/** "The handle string MUST NOT be longer than 256 bytes" (section 6.2). */
export const handleBytesMax = 256;

/** What a WRITE has before its data at most: the header, a handle, an offset and the length of the data. */
export const writePrefixBytesMax = headerBytes + 4 + handleBytesMax + 8 + 4;

/** What a DATA has before its data, and a STATUS before its text. */
export const replyPrefixBytes = headerBytes + 4;

/** The longest HANDLE. */
export const handleReplyBytesMax = headerBytes + 4 + handleBytesMax;
