/**
 * PostgreSQL's frontend/backend protocol 3.0: bytes to values and back. Pure; does no I/O and knows no policy.
 * Messages are parsed by name (`frontend.parseBind(body)`) and built by name (`backend.readyForQuery('I')`).
 *
 * @see https://www.postgresql.org/docs/18/protocol.html
 */

export type {
  Authentication,
  CopyResponse,
  ErrorFields,
  FieldDescription,
  TransactionStatus,
} from './codec/backend.ts';
export * as backend from './codec/backend.ts';
export { nameBytesMax } from './codec/cursor.ts';
export * as dataRow from './codec/data-row.ts';
export { RowFields } from './codec/data-row.ts';
export { ProtocolFault } from './codec/fault.ts';
export type { Bind, Execute, Format, FunctionCall, Parse, Query, Target } from './codec/frontend.ts';
export * as frontend from './codec/frontend.ts';
export { MessageReader, type MessageReaderOptions, type MessageSink } from './codec/message-reader.ts';
export { backend as backendTypes, type Direction, frontend as frontendTypes } from './codec/message-types.ts';
export type { FirstPacket } from './codec/startup.ts';
export * as startup from './codec/startup.ts';
