import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { systemClock } from '../core/clock.ts';
import { limits } from '../core/limits.ts';
import { hostKeyCheck } from '../protocols/ssh/host-key.ts';
import { certificateSubsystem } from '../protocols/ssh/issue.ts';
import { fingerprint, type PublicKey, publicKeyLine } from '../protocols/ssh/public-key.ts';
import { algorithms, Client, type ClientChannel } from '../protocols/ssh/ssh2.ts';
import { exchangeUser } from '../protocols/ssh/target.ts';
import type { GatewayAddress } from './known-hosts.ts';
import { printable } from './printable.ts';

/** What is exchanged, where, and by which keys the gateway is recognised. */
export interface ExchangeRequest {
  readonly gateway: GatewayAddress;
  readonly pinned: readonly PublicKey[];
  /** Leaves this machine only after the gateway has proven that it has a pinned key. */
  readonly token: string;
  readonly publicKeyLine: string;
}

/**
 * Exchanges a token and a public key for a certificate at a gateway, within `limits.sshExchangeTimeoutMs`.
 *
 * @returns the line that the gateway answered with.
 * @throws Error when the gateway is not the pinned one, cannot be reached or refuses; it says which, in the gateway's words.
 */
export function exchange(request: ExchangeRequest): Promise<string> {
  const { gateway, pinned, token } = request;
  const client = new Client();
  const hostKeys = pinned.map(({ type, blob }) => publicKeyLine(type, blob));
  const check = hostKeyCheck({ host: gateway.host, hostKeys, hostAuthorities: [] }, systemClock);
  let said = '';
  let shown: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  return new Promise<string>((resolve, reject) => {
    const fail = (message: string) => reject(new Error(`${message}${said === '' ? '' : `: ${said}`}`));
    timer = setTimeout(() => fail('the gateway did not answer in time'), limits.sshExchangeTimeoutMs);
    client.on('banner', (text) => {
      said = readable(text);
    });
    client.on('error', (error) => {
      if (shown !== undefined) fail(`the gateway shows a host key that is not pinned (${shown})`);
      else if (error.level === 'client-authentication') fail('the gateway refused the token');
      else fail(`the gateway cannot be reached (${error.message})`);
    });
    client.on('close', () => fail('the gateway closed the connection'));
    client.on('ready', () => {
      client.subsys(certificateSubsystem, (error, channel) => {
        if (error !== undefined) fail('the gateway does not issue certificates');
        else converse(channel, request.publicKeyLine).then(resolve, reject);
      });
    });
    client.connect({
      host: gateway.host,
      port: gateway.port,
      username: exchangeUser,
      password: token,
      authHandler: ['password'],
      readyTimeout: limits.sshExchangeTimeoutMs,
      algorithms: { ...algorithms, serverHostKey: check.algorithms },
      hostVerifier: (key: Buffer) => {
        if (check.refuse(key) === undefined) return true;
        shown = fingerprint(key);
        return false;
      },
    });
  }).finally(() => {
    clearTimeout(timer);
    client.destroy();
  });
}

/** One line there and one line back; the exit status says whether it is a certificate. */
async function converse(channel: ClientChannel, line: string): Promise<string> {
  channel.end(`${line}\n`);
  const [answer, refusal, [status]] = await Promise.all([
    read(channel, 2 * limits.sshCertificateBytesMax),
    read(channel.stderr, limits.sshRefusalBytesMax),
    once(channel, 'exit'),
  ]);
  if (status !== 0) throw new Error(`the gateway issued no certificate: ${readable(refusal)}`);
  return answer.trimEnd();
}

async function read(stream: Readable, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const piece = Buffer.from(chunk);
    bytes += piece.length;
    if (bytes > bytesMax) throw new Error('the gateway answered with more than a certificate');
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The gateway's words on one line, harmless to a terminal. */
function readable(text: string): string {
  const lines = text
    .slice(0, limits.sshRefusalBytesMax)
    .trim()
    .split(/[\r\n]+/);
  return lines.map((line) => printable(line.replace(/^sallyport: /, ''))).join(' ');
}
