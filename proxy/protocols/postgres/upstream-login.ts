/**
 * The login at an upstream, from the startup packet to the first ReadyForQuery.
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { GatewayError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { ByteSource } from './byte-source.ts';
import { backend, backendTypes, frontend, ProtocolFault, startup } from './codec.ts';
import { ScramError, ScramExchange, serverEndPoint } from './scram.ts';
import type { UpstreamLink, UpstreamOptions } from './upstream.ts';

/** A way to prove a password. */
export type AuthenticationMethod = 'scram-sha-256' | 'cleartext' | 'md5';

const defaultMethods: readonly AuthenticationMethod[] = ['scram-sha-256', 'cleartext'];

interface Message {
  readonly type: number;
  readonly body: Buffer;
}

/** Logs in over `socket`, which nobody else reads. @throws GatewayError `upstream_unavailable` or `upstream_unknown`. */
export async function login(socket: Socket, options: UpstreamOptions): Promise<UpstreamLink> {
  const source = new ByteSource(socket);
  let messages = 0;
  const next = async (): Promise<Message> => {
    for (;;) {
      if (++messages > limits.postgresLoginMessagesMax) throw malformed('it never becomes ready');
      const message = await source.message(limits.postgresLoginMessageBytesMax);
      if (message === undefined) throw failed('The upstream closed the connection during the login.');
      if (message instanceof ProtocolFault) throw malformed(message.message);
      if (message.type === backendTypes.errorResponse) throw rejected(message.body);
      if (message.type !== backendTypes.noticeResponse) return message;
    }
  };
  socket.write(
    startup.startupMessage([
      ['user', options.user],
      ['database', options.database],
      ...Object.entries(options.parameters),
    ]),
  );
  await authenticate(socket, options, next);
  const link = await untilReady(socket, next);
  source.release();
  return link;
}

async function authenticate(socket: Socket, options: UpstreamOptions, next: () => Promise<Message>): Promise<void> {
  const methods = options.methods ?? defaultMethods;
  const codes = backend.authenticationCodes;
  const request = await nextRequest(next);
  if (request.code === codes.ok) {
    // Nobody was asked for anything. With a client certificate TLS has proved who we are.
    const certified = options.tls.mode === 'verify-full' && options.tls.certificate !== undefined;
    if (certified || options.password === undefined) return;
    throw failed('The upstream lets everybody in: it did not ask for the password.');
  }
  const { password } = options;
  if (password === undefined) throw failed('The upstream asks for a password, and none is configured.');
  if (request.code === codes.sasl && methods.includes('scram-sha-256')) {
    await scram(socket, password, request.data, next);
  } else if (request.code === codes.cleartext && methods.includes('cleartext') && socket instanceof TLSSocket) {
    socket.write(frontend.password(password));
  } else if (request.code === codes.md5 && methods.includes('md5') && request.data.length === 4) {
    socket.write(frontend.password(md5Response(password, options.user, request.data)));
  } else {
    throw failed('The upstream asks for a way to log in that is not allowed.');
  }
  if ((await nextRequest(next)).code !== codes.ok) throw malformed('it asks for another login');
}

async function scram(socket: Socket, password: string, offer: Buffer, next: () => Promise<Message>): Promise<void> {
  const mechanisms = backend.parseSaslMechanisms(offer);
  if (mechanisms === undefined) throw malformed('its list of mechanisms cannot be read');
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate().raw : undefined;
  const codes = backend.authenticationCodes;
  try {
    const exchange = new ScramExchange({
      password,
      mechanisms,
      channelBinding: certificate === undefined ? undefined : serverEndPoint(certificate),
      iterationsMin: limits.postgresScramIterationsMin,
      iterationsMax: limits.postgresScramIterationsMax,
    });
    socket.write(frontend.saslInitialResponse(exchange.mechanism, exchange.first));
    const first = await nextRequest(next);
    if (first.code !== codes.saslContinue) throw malformed('SCRAM was cut short');
    socket.write(frontend.saslResponse(await exchange.respond(first.data)));
    const final = await nextRequest(next);
    if (final.code !== codes.saslFinal) throw malformed('SCRAM was cut short');
    exchange.verify(final.data);
  } catch (thrown) {
    if (thrown instanceof ScramError) throw failed(`The login at the upstream failed: ${thrown.message}.`);
    throw thrown;
  }
}

async function nextRequest(next: () => Promise<Message>): Promise<{ code: number; data: Buffer }> {
  const message = await next();
  const request = message.type === backendTypes.authentication ? backend.parseAuthentication(message.body) : undefined;
  if (request === undefined) throw malformed('something else came in the place of authentication');
  return request;
}

async function untilReady(socket: Socket, next: () => Promise<Message>): Promise<UpstreamLink> {
  const parameters = new Map<string, string>();
  let key: UpstreamLink['key'] | undefined;
  for (;;) {
    const { type, body } = await next();
    if (type === backendTypes.parameterStatus) {
      const status = backend.parseParameterStatus(body);
      if (status === undefined) throw malformed('a ParameterStatus cannot be read');
      parameters.set(status.name, status.value);
    } else if (type === backendTypes.backendKeyData && key === undefined) {
      const data = backend.parseBackendKeyData(body);
      if (data === undefined) throw malformed('its BackendKeyData cannot be read');
      key = { pid: data.pid, secret: Buffer.from(data.secret) };
    } else if (type === backendTypes.readyForQuery) {
      if (backend.parseReadyForQuery(body)?.status !== 'I') throw malformed('it starts inside a transaction');
      if (key === undefined) throw malformed('it gave no key to cancel with');
      return { socket, parameters, key, serverVersion: parameters.get('server_version') ?? '' };
    } else {
      throw malformed('an unexpected message came before it was ready');
    }
  }
}

/** The password as `md5` wants it. MD5 protects nothing; that is why it must be asked for. */
function md5Response(password: string, user: string, salt: Buffer): string {
  const inner = createHash('md5')
    .update(password + user)
    .digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

/** What the server says about a failed login stays here, but for its SQLSTATE: it may name roles and hosts. */
function rejected(body: Buffer): GatewayError {
  const sqlstate = backend.parseErrorFields(body)?.get('C') ?? '';
  if (sqlstate === '3D000') return new GatewayError('upstream_unknown', 'The upstream has no such database.');
  const known = /^[0-9A-Z]{5}$/.test(sqlstate) ? sqlstate : 'no SQLSTATE';
  return failed(`The upstream refused the connection (${known}).`);
}

function malformed(what: string): GatewayError {
  return failed(`The upstream does not speak the protocol: ${what}.`);
}

function failed(message: string): GatewayError {
  return new GatewayError('upstream_unavailable', message);
}
