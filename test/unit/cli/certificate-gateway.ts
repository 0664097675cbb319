/**
 * The part of a gateway that `sallyport ssh login` talks to, on a real SSH server: it takes any password for a token of
 * the agent in it, issues certificates, and then takes those.
 */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { systemClock } from '../../../proxy/core/clock.ts';
import { limits } from '../../../proxy/core/limits.ts';
import type { Identity } from '../../../proxy/core/types.ts';
import { parseCertificate } from '../../../proxy/protocols/ssh/certificate.ts';
import { identityFromCertificate } from '../../../proxy/protocols/ssh/identity-certificate.ts';
import { certificateSubsystem, issueCertificate } from '../../../proxy/protocols/ssh/issue.ts';
import { IssuedKeys } from '../../../proxy/protocols/ssh/issued-keys.ts';
import { formatPrivateKey, publicKeyOf } from '../../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine, verifySignature } from '../../../proxy/protocols/ssh/public-key.ts';
import { refusedStatus } from '../../../proxy/protocols/ssh/refuse.ts';
import { createSshServer } from '../../../proxy/protocols/ssh/server.ts';
import type { AuthContext, ServerConnection, Session } from '../../../proxy/protocols/ssh/ssh2.ts';
import { exchangeUser } from '../../../proxy/protocols/ssh/target.ts';

/** A running one. */
export interface CertificateGateway {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  readonly authority: KeyObject;
  /** The tokens that were sent, in order. */
  readonly tokens: readonly string[];
  /** How long its certificates last; they begin at `nowMs`. */
  lifetimeSeconds: number;
  /** What it answers instead of a certificate. */
  answer: string | undefined;
  stop(): Promise<void>;
}

/** Starts one on a free port of loopback. The token `refused` is refused, with a banner that says why. */
export async function startCertificateGateway(principals: readonly string[] = ['web']): Promise<CertificateGateway> {
  const hostKey = generateKeyPairSync('ed25519').privateKey;
  const authority = generateKeyPairSync('ed25519').privateKey;
  const issued = new IssuedKeys(systemClock);
  const tokens: string[] = [];
  const connections = new Set<ServerConnection>();
  const gateway = { lifetimeSeconds: 600, answer: undefined as string | undefined };

  function exchange(session: Session, token: string) {
    session.on('subsystem', (accept, reject, { name }) => {
      if (name !== certificateSubsystem) return reject();
      const channel = accept();
      let written = '';
      channel.on('data', (chunk: Buffer) => {
        written += chunk.toString('utf8');
        if (!written.endsWith('\n')) return;
        const { lifetimeSeconds } = gateway;
        const result = issueCertificate({
          ...{ identity: identityOf(token), token, publicKeyLine: written.trimEnd(), authority, principals },
          ...{ lifetimeSeconds, issued, clock: systemClock, random: randomBytes },
        });
        if ('line' in result) channel.write(`${gateway.answer ?? result.line}\n`);
        else channel.stderr.write(`${result.fault.message}\n`);
        channel.exit('line' in result ? 0 : refusedStatus);
        channel.end();
      });
    });
  }

  function authenticate(attempt: AuthContext): string | undefined {
    if (attempt.method === 'password' && attempt.username === exchangeUser) {
      tokens.push(attempt.password);
      return attempt.password === 'refused' ? undefined : attempt.password;
    }
    if (attempt.method !== 'publickey') return undefined;
    const { key, signature, blob, username } = attempt;
    const parsed = parseCertificate(key.data);
    if ('fault' in parsed) return undefined;
    const principal = username.slice(username.indexOf('+') + 1);
    const expected = { authority: publicKeyOf(authority).blob, principal, nowMs: systemClock.nowMs() };
    const held = identityFromCertificate(parsed.certificate, expected);
    if ('fault' in held) return undefined;
    if (signature === undefined || blob === undefined) return held.identity.id;
    return verifySignature(parsed.certificate.publicKey, key.algo, blob, signature) ? held.identity.id : undefined;
  }

  function greet(client: ServerConnection) {
    connections.add(client);
    let user = '';
    let who: string | undefined;
    client.on('error', () => {});
    client.on('close', () => connections.delete(client));
    client.on('authentication', (attempt) => {
      who = authenticate(attempt);
      user = attempt.username;
      if (who !== undefined) return attempt.accept();
      if (attempt.method === 'password') client.banner('sallyport: the token was\u001b[2J refused\r\n');
      attempt.reject(['publickey', 'password']);
    });
    client.on('session', (accept) => {
      const session = accept();
      if (user === exchangeUser) return exchange(session, who ?? '');
      session.on('exec', (run, _reject, { command }) => {
        const channel = run();
        channel.write(`${who} as ${user}: ${command}\n`);
        channel.exit(0);
        channel.end();
      });
    });
  }

  const ssh = createSshServer({ hostKeys: [formatPrivateKey(hostKey, '', 1)], limits });
  const server = createServer((socket) => ssh.serve(socket, greet));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { blob } = publicKeyOf(hostKey);
  const listening = server.address();
  const port = typeof listening === 'object' && listening !== null ? listening.port : 0;
  return Object.assign(gateway, {
    address: `127.0.0.1:${port}`,
    hostKey: publicKeyLine('ssh-ed25519', blob),
    authority,
    tokens,
    async stop() {
      for (const connection of connections) connection.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}

/** The agent that a token names: its `sub` when it can be read, else the token itself. */
function identityOf(token: string): Identity {
  let id = token;
  try {
    id = String(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')).sub);
  } catch {
    // Not a token of an issuer; tests name agents by it.
  }
  return {
    ...{ type: 'agent', issuer: 'https://idp.example', id, groups: [], claims: {}, chain: [] },
    expiresAtMs: systemClock.nowMs() + 3_600_000,
  };
}
