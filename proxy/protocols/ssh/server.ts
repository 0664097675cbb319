import type { Duplex } from 'node:stream';
import type { Limits } from '../../core/limits.ts';
import { algorithms, ciphersFor, Server, type ServerConnection } from './ssh2.ts';

/** The server's side of SSH connections that somebody else accepts. */
export interface SshServer {
  /** Speaks to a client on this socket; `greet` gets it once it has said which program it is. The socket's end is its end. */
  serve(socket: Duplex, greet: (client: ServerConnection) => void): void;
}

/** Makes one. @throws Error when a host key cannot be read */
export function createSshServer({
  hostKeys,
  limits,
}: {
  readonly hostKeys: readonly string[];
  readonly limits: Pick<Limits, 'sshChannelsMax' | 'sshKeepaliveIntervalMs' | 'sshKeepaliveUnansweredMax'>;
}): SshServer {
  const greeters = new WeakMap<Duplex, (client: ServerConnection) => void>();
  const server = new Server({
    hostKeys: [...hostKeys],
    ident: 'sallyport',
    algorithms,
    ciphersFor,
    keepaliveInterval: limits.sshKeepaliveIntervalMs,
    keepaliveCountMax: limits.sshKeepaliveUnansweredMax,
    maxChannels: limits.sshChannelsMax,
  });
  server.on('connection', (client, { header }) => {
    const socket: unknown = Reflect.get(client, '_sock');
    const greet = isDuplex(socket) ? greeters.get(socket) : undefined;
    if (greet === undefined) client.end();
    else greet(Object.assign(client as ServerConnection, { ident: header.versions.software }));
  });
  return {
    serve(socket, greet) {
      greeters.set(socket, greet);
      server.injectSocket(socket);
    },
  };
}

function isDuplex(value: unknown): value is Duplex {
  return value !== null && typeof value === 'object' && 'write' in value && 'read' in value;
}
