/**
 * Queries of the gateway's own over a link, for the catalog and for estimates: text results, one at a time.
 */
import { GatewayError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { backend, backendTypes, dataRow, frontend, MessageReader, type MessageSink, ProtocolFault } from './codec.ts';
import type { BoundValues } from './names.ts';
import type { UpstreamLink } from './upstream.ts';

type Rows = (string | null)[][];

/** What a statement with parameters needs besides its text. */
export interface BoundQuery extends BoundValues {
  /** Type OIDs, 0 where the server is to infer; may be fewer than there are. */
  readonly types: readonly number[];
}

/** A query that is being answered. */
interface Pending {
  readonly rows: Rows;
  bytes: number;
  failure: GatewayError | undefined;
  readonly settle: (failure: GatewayError | undefined) => void;
}

/** Owns the link's socket. A fault ends the session, and every later query fails. */
export class UpstreamSession implements MessageSink {
  readonly #socket: UpstreamLink['socket'];
  readonly #reader = new MessageReader({
    direction: 'upstream',
    inspect: () => true,
    maxInspectedBytes: () => limits.postgresOwnResultBytesMax,
    maxMessageBytes: limits.postgresOwnResultBytesMax,
  });
  #pending: Pending | undefined;
  #ended: GatewayError | undefined;

  constructor(link: UpstreamLink) {
    this.#socket = link.socket;
    link.socket.on('data', (chunk: Buffer) => {
      const result = this.#reader.push(chunk, this);
      if (result instanceof ProtocolFault) this.#end('The upstream does not speak the protocol.');
    });
    link.socket.on('error', () => {});
    link.socket.on('close', () => this.#end('The connection to the upstream was lost.'));
  }

  /** False once the session ended. */
  get open(): boolean {
    return this.#ended === undefined;
  }

  /**
   * Runs one query string; the rows of all its statements as text values. At most `postgresOwnResultBytesMax` of them,
   * within `postgresOwnQueryTimeoutMs`; the session ends otherwise.
   * @param bound - for one statement with parameters
   * @throws GatewayError `upstream_unavailable` when it fails; the SQLSTATE is in the message, the server's words are not
   */
  query(sql: string, bound?: BoundQuery): Promise<readonly (readonly (string | null)[])[]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#pending !== undefined) return Promise.reject(new Error('one query at a time'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#end('The upstream took too long to answer.'),
        limits.postgresOwnQueryTimeoutMs,
      );
      const rows: Rows = [];
      const settle = (failure: GatewayError | undefined) => {
        clearTimeout(timer);
        this.#pending = undefined;
        if (failure === undefined) resolve(rows);
        else reject(failure);
      };
      this.#pending = { rows, bytes: 0, failure: undefined, settle };
      this.#socket.write(bound === undefined ? frontend.query(sql) : extended(sql, bound));
    });
  }

  /** Says goodbye and closes. A pending query fails. */
  close(): void {
    if (this.#ended !== undefined) return;
    this.#socket.end(frontend.terminate());
    this.#end('The session was closed.');
  }

  onMessage(type: number, body: Buffer): boolean {
    const pending = this.#pending;
    if (pending === undefined) return false;
    if (type === backendTypes.dataRow) this.#row(pending, body);
    else if (type === backendTypes.errorResponse) pending.failure = failureOf(body);
    else if (type === backendTypes.readyForQuery) pending.settle(pending.failure);
    // A COPY would wait for us for ever.
    else if (type === backendTypes.copyInResponse) this.#end('A query of the gateway asked for data.');
    return false;
  }

  onPassthrough(): void {}

  #row(pending: Pending, body: Buffer): void {
    pending.bytes += body.length;
    const values = dataRow.parseDataRow(body);
    if (values === undefined) this.#end('The upstream sent a malformed row.');
    else if (pending.bytes > limits.postgresOwnResultBytesMax) this.#end('The answer of the upstream is too large.');
    else pending.rows.push(values.map((value) => value?.toString('utf8') ?? null));
  }

  #end(message: string): void {
    if (this.#ended !== undefined) return;
    const failure = new GatewayError('upstream_unavailable', message);
    this.#ended = failure;
    this.#socket.destroySoon();
    this.#pending?.settle(failure);
  }
}

/** One statement of the extended protocol, to its end. */
function extended(sql: string, { values, formats, types }: BoundQuery): Buffer {
  const { parse, bind, execute, sync } = frontend;
  return Buffer.concat([parse('', sql, types), bind('', '', values, { parameters: formats }), execute(''), sync()]);
}

function failureOf(body: Buffer): GatewayError {
  const sqlstate = backend.parseErrorFields(body)?.get('C') ?? '';
  return new GatewayError('upstream_unavailable', `A query of the gateway failed at the upstream (${sqlstate}).`);
}
