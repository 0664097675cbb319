/**
 * What must hold for any bytes a PostgreSQL client or server can send. Each check throws when it does not.
 */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import {
  backend,
  type Direction,
  dataRow,
  frontend,
  MessageReader,
  type MessageSink,
  ProtocolFault,
  RowFields,
  startup,
} from '../../proxy/protocols/postgres/codec.ts';
import { readStartup } from '../../proxy/protocols/postgres/startup-options.ts';
import type { Random } from './mutate.ts';

const inspectedBytesMax = 2_000;
const messageBytesMax = 20_000;
const clientTypes = 'BCDEFHPQScdfpX';
const upstreamTypes = 'RK23CWdcGHDIEVvnNAtS1sZT';

/** Every third type passes through, so that each kind follows each other. */
const inspected = (type: number): boolean => type % 3 !== 0;

/** Everything one stream comes to: what was found in it, and where it ended. */
interface Reading {
  readonly messages: string[];
  readonly passed: string;
  readonly fault: string;
}

/** Reads `bytes` in chunks that `cut` chooses. */
function read(direction: Direction, bytes: Buffer, cut: (rest: number) => number): Reading {
  const messages: string[] = [];
  const passed: Buffer[] = [];
  const sink: MessageSink = {
    onMessage(type, body, chunk, from, to) {
      strictEqual(chunk[from], type);
      strictEqual(to - from, body.length + 5);
      messages.push(chunk.toString('hex', from, to));
      return false;
    },
    onPassthrough(_, chunk, from, to, first) {
      if (first) messages.push('passed');
      passed.push(Buffer.from(chunk.subarray(from, to)));
    },
    onOversize(_, total) {
      messages.push(`oversize ${total}`);
      return true;
    },
  };
  const reader = new MessageReader({
    direction,
    inspect: inspected,
    maxInspectedBytes: () => inspectedBytesMax,
    maxMessageBytes: messageBytesMax,
  });
  let fault = '';
  for (let at = 0; at < bytes.length && fault === ''; ) {
    const chunk = bytes.subarray(at, at + Math.max(1, cut(bytes.length - at)));
    const result = reader.push(chunk, sink);
    if (result instanceof ProtocolFault) fault = result.code;
    else strictEqual(result, chunk.length);
    at += chunk.length;
  }
  return { messages, passed: Buffer.concat(passed).toString('hex'), fault };
}

/** The same stream read in the plainest way there is, as a second opinion. */
function readPlainly(direction: Direction, bytes: Buffer): Reading {
  const known = direction === 'client' ? clientTypes : upstreamTypes;
  const messages: string[] = [];
  let passed = '';
  for (let at = 0; at < bytes.length; ) {
    const type = bytes.readUInt8(at);
    if (!known.includes(String.fromCharCode(type))) return { messages, passed, fault: 'operation_malformed' };
    if (bytes.length - at < 5) break;
    const total = bytes.readInt32BE(at + 1) + 1;
    if (total < 5) return { messages, passed, fault: 'operation_malformed' };
    if (total > messageBytesMax) return { messages, passed, fault: 'operation_too_large' };
    const end = at + total;
    if (!inspected(type)) {
      messages.push('passed');
      passed += bytes.toString('hex', at, end);
    } else if (total > inspectedBytesMax) messages.push(`oversize ${total}`);
    else if (end <= bytes.length) messages.push(bytes.toString('hex', at, end));
    at = end;
  }
  return { messages, passed, fault: '' };
}

/** A stream is read the same however it is cut, and as plainly as it can be read. */
export function checkStream(direction: Direction, bytes: Buffer, random: Random): void {
  const expected = readPlainly(direction, bytes);
  deepStrictEqual(
    read(direction, bytes, (rest) => rest),
    expected,
  );
  deepStrictEqual(
    read(direction, bytes, () => 1),
    expected,
  );
  deepStrictEqual(
    read(direction, bytes, () => random(40)),
    expected,
  );
  for (const message of expected.messages) {
    if (!/^[0-9a-f]+$/.test(message)) continue;
    const whole = Buffer.from(message, 'hex');
    if (direction === 'client') checkClientMessage(whole);
    else checkUpstreamMessage(whole);
  }
}

/** What is parsed is what was there: written again, it is the same bytes. */
function checkClientMessage(message: Buffer): void {
  const body = message.subarray(5);
  const type = String.fromCharCode(message.readUInt8(0));
  let again: Buffer | undefined;
  if (type === 'Q') again = map(frontend.parseQuery(body), ({ sql }) => frontend.query(sql));
  else if (type === 'P')
    again = map(frontend.parseParse(body), (parse) => frontend.parse(parse.statement, parse.sql, parse.parameterTypes));
  else if (type === 'B')
    again = map(frontend.parseBind(body), (bind) => {
      const values = Array.from({ length: bind.parameterCount }, (_, index) => bind.parameter(index));
      const formats = { parameters: bind.parameterFormats, results: bind.resultFormats };
      return frontend.bind(bind.portal, bind.statement, values, formats);
    });
  else if (type === 'D') again = map(frontend.parseTarget(body), ({ kind, name }) => frontend.describe(kind, name));
  else if (type === 'C') again = map(frontend.parseTarget(body), ({ kind, name }) => frontend.close(kind, name));
  else if (type === 'E') {
    const execute = frontend.parseExecute(body);
    // A negative number of rows is read as 0.
    if (execute !== undefined && body.readInt32BE(body.length - 4) >= 0) {
      again = frontend.execute(execute.portal, execute.maxRows);
    }
  } else if (type === 'F') again = map(frontend.parseFunctionCall(body), frontend.functionCall);
  else if (type === 'f') again = map(frontend.parseCopyFail(body), ({ reason }) => frontend.copyFail(reason));
  else if (type === 'p') {
    again = map(frontend.parsePassword(body), ({ password }) => frontend.password(password));
    frontend.parseSaslInitialResponse(body);
  }
  if (again !== undefined) deepStrictEqual(again, message);
}

function checkUpstreamMessage(message: Buffer): void {
  const body = message.subarray(5);
  const type = String.fromCharCode(message.readUInt8(0));
  let again: Buffer | undefined;
  if (type === 'T') again = map(backend.parseRowDescription(body), backend.rowDescription);
  else if (type === 'D') {
    again = map(dataRow.parseDataRow(body), dataRow.dataRow);
    checkRowInPlace(message);
  } else if (type === 'C') again = map(backend.parseCommandComplete(body), ({ tag }) => backend.commandComplete(tag));
  else if (type === 'K')
    again = map(backend.parseBackendKeyData(body), (key) => backend.backendKeyData(key.pid, key.secret));
  else if (type === 'Z') again = map(backend.parseReadyForQuery(body), ({ status }) => backend.readyForQuery(status));
  else if (type === 't') again = map(backend.parseParameterDescription(body), backend.parameterDescription);
  else if (type === 'G') again = map(backend.parseCopyResponse(body), backend.copyInResponse);
  else if (type === 'H') again = map(backend.parseCopyResponse(body), backend.copyOutResponse);
  else if (type === 'W') again = map(backend.parseCopyResponse(body), backend.copyBothResponse);
  else if (type === 'V')
    again = map(backend.parseFunctionCallResponse(body), ({ value }) => backend.functionCallResponse(value));
  else if (type === 'v')
    again = map(backend.parseNegotiateProtocolVersion(body), (negotiation) =>
      negotiation.version < 0
        ? message
        : backend.negotiateProtocolVersion(negotiation.version, negotiation.unsupported),
    );
  else if (type === 'A')
    again = map(backend.parseNotification(body), ({ pid, channel, payload }) =>
      backend.notification(pid, channel, payload),
    );
  else if (type === 'E' || type === 'N') checkErrorFields(body);
  else if (type === 'S') backend.parseParameterStatus(body);
  else if (type === 'R') map(backend.parseAuthentication(body), ({ data }) => void backend.parseSaslMechanisms(data));
  if (again !== undefined) deepStrictEqual(again, message);
}

/** Fields may come twice, and in other encodings; what was understood must survive being written. */
function checkErrorFields(body: Buffer): void {
  const fields = backend.parseErrorFields(body);
  if (fields === undefined || [...fields.keys()].some((code) => code > '\x7f')) return;
  deepStrictEqual(backend.parseErrorFields(backend.errorResponse(fields).subarray(5)), fields);
}

/** A row read in place says the same as one read on its own, and points nowhere outside of itself. */
function checkRowInPlace(message: Buffer): void {
  const values = dataRow.parseDataRow(message.subarray(5));
  const chunk = Buffer.concat([Buffer.alloc(7, 0xff), message, Buffer.alloc(7, 0xff)]);
  const fields = new RowFields();
  const count = fields.read(chunk, 12, chunk.length - 7);
  strictEqual(count, values?.length ?? -1);
  for (let index = 0; index < count; index++) {
    const start = fields.starts[index] ?? -1;
    const length = fields.lengths[index] ?? -1;
    deepStrictEqual(length === -1 ? null : chunk.subarray(start, start + length), values?.[index]);
  }
}

/** A first packet is read or refused, and so are its parameters; what is accepted is in the list. */
export function checkFirstPacket(bytes: Buffer): void {
  const packet = startup.parseFirstPacket(bytes);
  if (packet?.kind !== 'startup' || packet.major !== 3) return;
  const again = startup.startupMessage(packet.parameters, (3 << 16) | packet.minor).subarray(4);
  deepStrictEqual(again, bytes);
  const accepted = readStartup(packet.parameters);
  if ('sqlstate' in accepted) return;
  strictEqual(accepted.parameters.client_encoding, 'UTF8');
  for (const forbidden of ['search_path', 'role', 'options', 'replication']) {
    strictEqual(Object.hasOwn(accepted.parameters, forbidden), false);
  }
}

function map<In, Out>(value: In | undefined, change: (value: In) => Out): Out | undefined {
  return value === undefined ? undefined : change(value);
}
