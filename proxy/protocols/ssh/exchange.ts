/** The connection on which an agent exchanges its token for a certificate: one subsystem, one line each way. */

import { asGatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Fault, JsonObject, Refusal } from '../../core/types.ts';
import { certificateSubsystem, type IssueRequest, issueCertificate } from './issue.ts';
import { refusalText, refusedStatus } from './refuse.ts';
import { endChannel } from './relay.ts';
import type { ServerChannel, ServerConnection } from './ssh2.ts';

/** What an exchange needs besides the key that the client sends. */
export interface ExchangeOptions extends Omit<IssueRequest, 'publicKeyLine'> {
  /** Audits why there is no certificate. */
  readonly refuse: (fault: Fault) => Refusal;
  /** Audits one that is about to be handed out. @throws GatewayError when it cannot */
  readonly audit: (credential: JsonObject) => void;
  readonly limits: Pick<Limits, 'sshPublicKeyLineBytesMax' | 'loginTimeoutMs'>;
}

/** Serves it to its end, within `loginTimeoutMs`. Never rejects. */
export async function serveExchange(client: ServerConnection, options: ExchangeOptions): Promise<void> {
  let used = false;
  const timer = setTimeout(() => client.end(), options.limits.loginTimeoutMs);
  client.on('session', (acceptSession, rejectSession) => {
    if (used) {
      rejectSession();
      return;
    }
    used = true;
    const session = acceptSession();
    session.on('subsystem', (accept, reject, { name }) => {
      if (name === certificateSubsystem) void exchange(accept(), options).finally(() => client.end());
      else reject?.();
    });
    session.on('exec', (accept) => void refuseOther(accept(), options).finally(() => client.end()));
    session.on('shell', (accept) => void refuseOther(accept(), options).finally(() => client.end()));
  });
  await new Promise<void>((resolve) => client.once('close', resolve));
  clearTimeout(timer);
}

async function exchange(channel: ServerChannel, options: ExchangeOptions): Promise<void> {
  channel.on('error', () => {});
  const publicKeyLine = await readLine(channel, options.limits.sshPublicKeyLineBytesMax);
  const issued = issueAudited(publicKeyLine, options);
  if ('fault' in issued) {
    channel.stderr.write(refusalText(options.refuse(issued.fault)));
    await endChannel(channel, { code: refusedStatus });
    return;
  }
  channel.write(`${issued.line}\n`);
  await endChannel(channel, { code: 0 });
}

function issueAudited(publicKeyLine: string, options: ExchangeOptions): ReturnType<typeof issueCertificate> {
  const issued = issueCertificate({ ...options, publicKeyLine });
  if ('fault' in issued) return issued;
  try {
    options.audit({
      type: 'ssh_certificate',
      key: issued.key,
      expires_at: new Date(issued.expiresAtMs).toISOString(),
    });
    return issued;
  } catch (thrown) {
    return { fault: asGatewayError(thrown, 'audit_unavailable', 'The audit trail cannot be written.') };
  }
}

async function refuseOther(channel: ServerChannel, { refuse }: ExchangeOptions): Promise<void> {
  channel.on('error', () => {});
  channel.resume();
  const message = 'This user name only exchanges a token for a certificate. Log in as login+upstream.';
  channel.stderr.write(refusalText(refuse({ code: 'operation_unsupported', message })));
  await endChannel(channel, { code: refusedStatus });
}

/** What comes before the first line feed, or all there is; what is too long is cut, and then is no key. */
function readLine(channel: ServerChannel, bytesMax: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const done = () => resolve(text);
    channel.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= bytesMax) return;
      text = text.slice(0, end < 0 ? bytesMax : end);
      channel.removeAllListeners('data');
      channel.resume();
      done();
    });
    channel.once('end', done);
    channel.once('close', done);
  });
}
