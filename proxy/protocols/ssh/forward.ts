/**
 * Ports and sockets that a client would forward. Each is an operation of its own; one that leads to a known upstream is
 * handed to that upstream's own adapter, so that what is inside is judged as if it had come straight.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4254#section-7
 */
import type { Duplex } from 'node:stream';
import type { Permit } from '../../core/permit.ts';
import { splice } from '../../core/splice.ts';
import type { Outcome } from '../../core/types.ts';
import type { Conversation, Opened } from './conversation.ts';
import { type ForwardOperation, forwardFacts } from './facts.ts';
import type { OperationPlan } from './plan.ts';
import { refusalLine } from './refuse.ts';
import type { AcceptChannel, RejectChannel, ServerChannel, ServerConnection } from './ssh2.ts';
import type { SshLink } from './upstream.ts';

/** The reason code of RFC 4254 section 5.1 for what policy refuses. */
const administrativelyProhibited = 1;
const connectFailed = 2;

/** The forwards of one connection. */
export class Forwards {
  readonly #client: ServerConnection;
  readonly #conversation: Conversation;
  /** Remote forwards that the host listens for, with the permit each was given. */
  readonly #listening = new Map<string, Permit<OperationPlan>>();
  /** Those, and the ones that are being decided about. */
  #remote = 0;
  #watching = false;

  constructor(client: ServerConnection, conversation: Conversation) {
    this.#client = client;
    this.#conversation = conversation;
    client.on('tcpip', (accept, reject, { destIP: host, destPort: port }) => {
      const operation: ForwardOperation = { kind: 'direct', destination: { host, port } };
      this.#serve(accept, reject, operation, (link) => connectTcp(link, host, port));
    });
    client.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
      const operation: ForwardOperation = { kind: 'streamlocal', destination: { host: socketPath, port: 0 } };
      this.#serve(accept, reject, operation, (link) => connectSocket(link, socketPath));
    });
    client.once('close', () => {
      for (const permit of this.#listening.values()) permit.complete({ status: 'ok' });
    });
    client.on('request', (accept, reject, name, info) => {
      void this.#request(name, info).then(
        (port) => (port === undefined ? reject?.() : accept?.(port)),
        () => reject?.(),
      );
    });
  }

  #serve(
    accept: AcceptChannel<ServerChannel>,
    reject: RejectChannel,
    operation: ForwardOperation,
    connect: (link: SshLink) => Promise<Duplex>,
  ): void {
    if (this.#conversation.full) {
      reject(connectFailed, 'sallyport: too many channels');
      return;
    }
    const release = this.#conversation.hold();
    void this.#forward(accept, reject, operation, connect)
      .catch(() => reject(connectFailed, 'sallyport: the destination cannot be reached'))
      .finally(release);
  }

  async #forward(
    accept: AcceptChannel<ServerChannel>,
    reject: RejectChannel,
    operation: ForwardOperation,
    connect: (link: SshLink) => Promise<Duplex>,
  ): Promise<void> {
    const opened = await this.#conversation.opened;
    if ('refusal' in opened) {
      reject(administrativelyProhibited, refusalLine(opened.refusal));
      return;
    }
    const permit = await authorize(opened, operation, (line) => reject(administrativelyProhibited, line));
    if (permit === undefined) return;
    const { session } = opened;
    const { destination = { host: '', port: 0 } } = operation;
    const upstream =
      operation.kind === 'direct'
        ? this.#conversation.gateway.upstreamAt(destination.host, destination.port)
        : undefined;
    let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
    try {
      if (upstream === undefined) {
        const remote = await connect(await opened.link);
        outcome = await splice({ session, permit, client: accept(), remote, destination });
      } else {
        const socket = accept();
        socket.on('error', () => {});
        const { clientAddress } = this.#conversation;
        await this.#conversation.gateway.handOver({ socket, clientAddress }, upstream, session);
        session.record({ decisionId: permit.decisionId, kind: 'forwarded', data: { ...destination, upstream } });
        outcome = { status: 'ok' };
      }
    } finally {
      permit.complete(outcome);
    }
  }

  /** Listening at the host on the client's behalf. @returns the port, or undefined when it is refused. */
  async #request(name: string, info: unknown): Promise<number | undefined> {
    const opened = await this.#conversation.opened;
    if ('refusal' in opened) return undefined;
    const link = await opened.link;
    const { bindAddr = '', bindPort = 0, socketPath = '' } = info as RequestInfo;
    switch (name) {
      case 'tcpip-forward':
        return await this.#listen(opened, link, bindAddr, bindPort);
      case 'cancel-tcpip-forward': {
        const key = JSON.stringify([bindAddr, bindPort]);
        const permit = this.#listening.get(key);
        if (permit === undefined) return undefined;
        this.#listening.delete(key);
        this.#remote -= 1;
        await new Promise<void>((resolve) => link.client.unforwardIn(bindAddr, bindPort, () => resolve()));
        permit.complete({ status: 'ok' });
        return bindPort;
      }
      case 'streamlocal-forward@openssh.com':
        await authorize(opened, { kind: 'remote_streamlocal', listen: { host: socketPath, port: 0 } }, () => {});
        return undefined;
      default:
        return undefined;
    }
  }

  async #listen(opened: Opened, link: SshLink, host: string, port: number): Promise<number | undefined> {
    if (this.#remote >= this.#conversation.limits.sshRemoteForwardsMax) return undefined;
    this.#remote += 1;
    let bound: number | undefined;
    try {
      const permit = await authorize(opened, { kind: 'remote', listen: { host, port } }, () => {});
      if (permit === undefined) return undefined;
      bound = await new Promise<number | undefined>((resolve) => {
        link.client.forwardIn(host, port, (error, chosen) => resolve(error === undefined ? chosen || port : undefined));
      });
      if (bound === undefined) permit.complete({ status: 'error', code: 'upstream_unavailable' });
      else this.#listening.set(JSON.stringify([host, bound]), permit);
    } finally {
      if (bound === undefined) this.#remote -= 1;
    }
    if (bound !== undefined) this.#watch(opened, link);
    return bound;
  }

  /** Connections to what the host listens for, each under the permit of its port. */
  #watch(opened: Opened, link: SshLink): void {
    if (this.#watching) return;
    this.#watching = true;
    link.client.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
      const permit = this.#listening.get(JSON.stringify([destIP, destPort]));
      if (permit === undefined || !permit.open || this.#conversation.full) {
        reject?.();
        return;
      }
      const release = this.#conversation.hold();
      this.#client.forwardOut(destIP, destPort, srcIP, srcPort, (error, client) => {
        if (error !== undefined) {
          reject?.();
          release();
          return;
        }
        const destination = { host: srcIP, port: srcPort };
        void splice({ session: opened.session, permit, client, remote: accept(), destination }).finally(release);
      });
    });
  }
}

interface RequestInfo {
  readonly bindAddr?: string;
  readonly bindPort?: number;
  readonly socketPath?: string;
}

async function authorize(
  opened: Opened,
  operation: ForwardOperation,
  refuse: (line: string) => void,
): Promise<Permit<OperationPlan> | undefined> {
  const answer = await opened.session.authorize({ facts: forwardFacts(operation, await opened.place()) });
  if ('permit' in answer) return answer.permit;
  const { decisionId, code, policy, message } = answer.refusal;
  opened.session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
  refuse(refusalLine(answer.refusal));
  return undefined;
}

function connectTcp(link: SshLink, host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    link.client.forwardOut('127.0.0.1', 0, host, port, (error, channel) =>
      error === undefined ? resolve(channel) : reject(error),
    );
  });
}

function connectSocket(link: SshLink, path: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    link.client.openssh_forwardOutStreamLocal(path, (error, channel) =>
      error === undefined ? resolve(channel) : reject(error),
    );
  });
}
