/** The `sftp` subsystem between a client's channel and the host's: each operation is judged, contents pass through. */
import { ChunkWriter, Forwarder } from '../../core/forwarder.ts';
import type { Limits } from '../../core/limits.ts';
import type { Permit } from '../../core/permit.ts';
import type { SessionHandle } from '../../core/ports.ts';
import type { Fault, Refusal } from '../../core/types.ts';
import { fileFacts, type Place } from './facts.ts';
import type { OperationPlan } from './plan.ts';
import { redactCommand } from './redact.ts';
import { refusalLine, refusalText } from './refuse.ts';
import { drained, endChannel } from './relay.ts';
import { exitOf, RemoteEnd } from './remote-end.ts';
import { createSftpGate, type SftpGate } from './sftp/gate.ts';
import type { SftpOperation, SftpVerdict } from './sftp/operation.ts';
import type { ClientChannel, ServerChannel } from './ssh2.ts';
import { feed } from './transfer-channel.ts';

/** What a file transfer session is made of. */
export interface SftpChannelOptions {
  readonly session: SessionHandle;
  readonly client: ServerChannel;
  readonly upstream: ClientChannel;
  readonly place: Place;
  readonly limits: Limits;
}

/** Serves it until either side ends. Never rejects. */
export async function serveSftp(options: SftpChannelOptions): Promise<void> {
  const { session, client, upstream, limits } = options;
  let fault: Fault | undefined;
  const remote = new RemoteEnd(upstream, limits);
  const end = () => remote.end('HUP');
  const told = new Set<string>();
  // OpenSSH's clients show the number of a status, not its text; what comes on standard error they show. They look at a
  // file before they open it: the same words about the same path are said once.
  const tell = ({ path }: SftpOperation, refusal: Refusal) => {
    const about = JSON.stringify([path, refusal.policy, refusal.code, refusal.message]);
    if (told.has(about) || told.size >= limits.sftpRefusalsToldMax || !client.stderr.writable) return;
    told.add(about);
    client.stderr.write(refusalText(refusal));
  };
  const gate: SftpGate = createSftpGate<Permit<OperationPlan | undefined>>({
    // What the gate asks by itself (INIT, where a path leads) belongs to the session, which `connect` permitted.
    permit: session.permit as Permit<undefined>,
    toHost: new Forwarder(upstream),
    toClient: new ChunkWriter(client),
    drained: async (side) => {
      const stream = side === 'host' ? upstream : client;
      if (stream.writableNeedDrain) await drained(stream);
    },
    authorize: (operation) => authorize(operation, options, tell),
    recordTransfer: ({ path, direction, bytes, sequential, sha256, complete }, { decisionId }) =>
      session.record({
        decisionId,
        kind: 'transfer',
        data: { protocol: 'sftp', path, direction, bytes, sequential, sha256: sha256 ?? null, complete },
      }),
    fail: (broken) => {
      fault = broken;
      end();
    },
    limits,
  });
  session.signal.addEventListener('abort', end, { once: true });
  if (session.signal.aborted) end();
  client.once('close', end);
  upstream.stderr.on('data', (chunk: Buffer) => {
    if (client.stderr.writable) client.stderr.write(chunk);
  });
  feed(client, (chunk) => gate.fromClient(chunk) ?? session.drained);
  feed(upstream, (chunk) => gate.fromHost(chunk));
  client.once('end', () => {
    fault ??= gate.clientEnded();
    upstream.end();
  });
  await remote.reached;
  gate.close();
  session.signal.removeEventListener('abort', end);
  client.removeListener('close', end);
  const words = session.signal.aborted ? refusalLine(session.signal.reason as Refusal) : fault?.message;
  if (words !== undefined && client.stderr.writable) client.stderr.write(`${words}\n`);
  if (client.writable) await endChannel(client, words === undefined ? exitOf(upstream) : { code: 1 });
}

function authorize(
  operation: SftpOperation,
  { session, place }: SftpChannelOptions,
  refused: (operation: SftpOperation, refusal: Refusal) => void,
): Verdict | Promise<Verdict> {
  const answer = session.authorize({ facts: fileFacts(operation, { ...place, config: session.config }) });
  const carriedOut = (one: Awaited<typeof answer>) => verdict(one, operation, session, refused);
  return answer instanceof Promise ? answer.then(carriedOut) : carriedOut(answer);
}

type Verdict = SftpVerdict<Permit<OperationPlan>>;

function verdict(
  answer: { readonly permit: Permit<OperationPlan> } | { readonly refusal: Refusal },
  asked: SftpOperation,
  session: SessionHandle,
  refused: (operation: SftpOperation, refusal: Refusal) => void,
): Verdict {
  if ('permit' in answer) {
    const { operation } = asked;
    const { maxBytes, timeoutMs } = answer.permit.plan;
    // What is opened under a permit that was completed can only be closed.
    const late = () => answer.permit.complete({ status: 'aborted', code: 'limit_reached' });
    const lasts = operation === 'open' || operation === 'list';
    if (lasts && Number.isFinite(timeoutMs)) setTimeout(late, Math.min(timeoutMs, 2 ** 31 - 1)).unref();
    const cap = Number.isFinite(maxBytes)
      ? { bytes: maxBytes, text: 'sallyport: more than policy allows at once (limit_reached)' }
      : undefined;
    return { permit: answer.permit, cap };
  }
  const { decisionId, code, policy, message } = answer.refusal;
  session.record({
    decisionId,
    kind: 'command',
    data: { kind: 'sftp', text: redactCommand(wordsOf(asked)), pty: null },
  });
  session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
  refused(asked, answer.refusal);
  return { refusal: refusalLine(answer.refusal) };
}

/** What was asked for, to people: `open /etc/motd (read)`. */
function wordsOf({ operation, path, target, flags }: SftpOperation): string {
  const words = [operation, path, target].filter((word) => word !== '');
  return flags.length === 0 ? words.join(' ') : `${words.join(' ')} (${flags.join(' ')})`;
}
