/** A program that moves files by a protocol of its own: its bytes pass as they are, and are told of by count and hash. */
import { basename } from 'node:path/posix';
import type { Limits } from '../../core/limits.ts';
import type { Permit } from '../../core/permit.ts';
import type { SessionHandle } from '../../core/ports.ts';
import type { Fault, Outcome, Refusal } from '../../core/types.ts';
import type { OperationPlan } from './plan.ts';
import { refusalText, refusedStatus } from './refuse.ts';
import { drained, endChannel } from './relay.ts';
import { exitOf, RemoteEnd } from './remote-end.ts';
import { createScpGate } from './scp/gate.ts';
import type { Transfer } from './shell/index.ts';
import type { ClientChannel, ServerChannel } from './ssh2.ts';
import { StreamTotals } from './transfer.ts';

/** What a transfer is made of. */
export interface TransferOptions {
  readonly session: SessionHandle;
  readonly permit: Permit<OperationPlan>;
  readonly transfer: Transfer;
  readonly client: ServerChannel;
  readonly upstream: ClientChannel;
  readonly limits: Limits;
}

/** Both directions of a transfer: what to do with a chunk, and when more can be taken. */
interface Passage {
  fromClient(chunk: Buffer): Promise<void> | undefined;
  fromHost(chunk: Buffer): Promise<void> | undefined;
  close(): void;
}

/** Runs it to its end. Never rejects: what fails is its outcome. */
export async function serveTransfer(options: TransferOptions): Promise<Outcome> {
  const { session, permit, transfer, client, upstream } = options;
  const { decisionId } = permit;
  const remote = new RemoteEnd(upstream, options.limits);
  const totals = new StreamTotals();
  let refusal: Refusal | undefined;
  let clientGone = false;
  const end = (why: Refusal) => {
    refusal ??= why;
    remote.end('KILL');
  };
  const stop = () => end(session.signal.reason as Refusal);
  const gone = () => {
    clientGone = true;
    remote.end('HUP');
  };
  const fail = (fault: Fault) => end(refused(permit, fault));
  const passage = transfer.protocol === 'scp' ? scp(options, fail) : opaque(options);
  session.signal.addEventListener('abort', stop, { once: true });
  client.once('close', gone);
  const { maxBytes, timeoutMs } = permit.plan;
  const tooLong = () => fail({ code: 'limit_reached', message: 'The transfer took longer than policy allows.' });
  const timer = Number.isFinite(timeoutMs) ? setTimeout(tooLong, Math.min(timeoutMs, 2 ** 31 - 1)) : undefined;
  let bytes = 0;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) fail({ code: 'limit_reached', message: 'The transfer is larger than policy allows.' });
  };
  feed(client, (chunk) => {
    totals.fromClient(chunk);
    count(chunk);
    return passage.fromClient(chunk);
  });
  feed(upstream, (chunk) => {
    totals.fromHost(chunk);
    count(chunk);
    return passage.fromHost(chunk);
  });
  upstream.stderr.on('data', (chunk: Buffer) => {
    session.record({ decisionId, kind: 'stderr', data: chunk });
    if (client.stderr.writable) client.stderr.write(chunk);
  });
  client.once('end', () => upstream.end());
  if (session.signal.aborted) stop();
  await remote.reached;
  clearTimeout(timer);
  passage.close();
  session.signal.removeEventListener('abort', stop);
  client.removeListener('close', gone);
  const { client: up, host: down } = totals.totals();
  const { protocol, direction, paths } = transfer;
  session.record({
    decisionId,
    kind: 'transfer',
    data: {
      ...{ protocol, direction, paths, bytes_up: up.bytes, sha256_up: up.sha256 },
      ...{ bytes_down: down.bytes, sha256_down: down.sha256 },
    },
  });
  if (refusal !== undefined && !clientGone) client.stderr.write(refusalText(refusal));
  const code = refusal === undefined ? exitOf(upstream).code : refusedStatus;
  session.record({ decisionId, kind: 'exit', data: { status: code, signal: exitOf(upstream).signal ?? null, bytes } });
  if (!clientGone) await endChannel(client, refusal === undefined ? exitOf(upstream) : { code });
  const status = refusal !== undefined || clientGone ? 'aborted' : code === 0 ? 'ok' : 'error';
  return { status, code: refusal?.code ?? String(code ?? 'no_status'), bytes };
}

/** Followed file by file. */
function scp({ session, permit, transfer, client, upstream, limits }: TransferOptions, fail: (fault: Fault) => void) {
  return createScpGate({
    direction: transfer.direction,
    limits,
    names: transfer.direction === 'download' ? namesOf(transfer.paths) : undefined,
    toHost: writer(upstream),
    toClient: writer(client),
    recordFile: ({ path, direction, bytes, sha256, complete, mode }) =>
      session.record({
        decisionId: permit.decisionId,
        kind: 'transfer',
        data: { protocol: 'scp', path, direction, bytes, sha256: sha256 ?? null, complete, mode },
      }),
    fail,
  });
}

/** What was asked for; unknown where a path says only a directory. */
function namesOf(paths: readonly string[]): ReadonlySet<string> | undefined {
  const names = paths.map((path) => basename(path));
  return names.some((name) => ['', '.', '..'].includes(name)) ? undefined : new Set(names);
}

/** Nobody looks inside. */
function opaque({ client, upstream }: TransferOptions): Passage {
  return { fromClient: writer(upstream), fromHost: writer(client), close: () => {} };
}

function writer(stream: ServerChannel | ClientChannel): (bytes: Buffer) => Promise<void> | undefined {
  return (bytes) => {
    if (!stream.writable || stream.write(bytes)) return undefined;
    return drained(stream);
  };
}

/** Gives every chunk to somebody who says when the next may come. */
export function feed(stream: ServerChannel | ClientChannel, take: (chunk: Buffer) => Promise<void> | undefined): void {
  stream.on('data', (chunk: Buffer) => {
    const wait = take(chunk);
    if (wait === undefined) return;
    stream.pause();
    void wait.then(() => stream.resume());
  });
}

function refused({ decisionId }: Permit, { code, message }: Fault): Refusal {
  const hint = 'Use a current scp, or sftp; move less at once.';
  return { decisionId, code, policy: undefined, message, hint, reasons: [], endSession: false };
}
