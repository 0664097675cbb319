import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Identity } from '../../../../proxy/core/types.ts';
import { certifyIdentity } from '../../../../proxy/protocols/ssh/identity-certificate.ts';
import { formatPrivateKey, publicKeyOf } from '../../../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine } from '../../../../proxy/protocols/ssh/public-key.ts';
import { signCertificate } from '../../../../proxy/protocols/ssh/sign-certificate.ts';
import { describeTools } from '../../../clients/tools.ts';
import { findSshd, type SshServer, startSshd } from '../../../support/sshd.ts';

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  const authority = generateKeyPairSync('ed25519').privateKey;
  const key = generateKeyPairSync('ed25519').privateKey;
  const publicKey = publicKeyOf(key);
  const nowMs = Date.now();
  let sshd: SshServer;
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-certificate-'));
    // The mistake: a host that trusts the gateway's authority.
    sshd = await startSshd({ userAuthorities: [publicKeyLine('ssh-ed25519', publicKeyOf(authority).blob)] });
    await writeFile(join(directory, 'key'), formatPrivateKey(key, 'agent', 1), { mode: 0o600 });
    await writeFile(join(directory, 'known_hosts'), `[${sshd.host}]:${sshd.port} ${sshd.hostKey}\n`);
  });

  afterAll(async () => {
    await sshd.stop();
    await rm(directory, { recursive: true });
  });

  /** Logs in at the host, past the gateway, with the agent's key and a certificate. */
  async function login(certificate: Buffer) {
    const line = publicKeyLine('ssh-ed25519-cert-v01@openssh.com', certificate);
    await writeFile(join(directory, 'key-cert.pub'), `${line}\n`);
    const options = ['IdentitiesOnly=yes', 'BatchMode=yes', 'StrictHostKeyChecking=yes', 'IdentityAgent=none']
      .concat([
        `UserKnownHostsFile=${join(directory, 'known_hosts')}`,
        `CertificateFile=${join(directory, 'key-cert.pub')}`,
      ])
      .flatMap((option) => ['-o', option]);
    const args = ['-F', 'none', ...options, '-i', join(directory, 'key'), '-p', String(sshd.port)];
    return new Promise<{ code: unknown; stdout: string }>((resolve) => {
      execFile('ssh', [...args, `${sshd.user}@${sshd.host}`, 'echo in'], (error, stdout) => {
        resolve({ code: error === null ? 0 : error.code, stdout: stdout.trim() });
      });
    });
  }

  test('a host that trusts the gateway’s authority by mistake refuses the certificates it issues to agents', async () => {
    const identity: Identity = {
      ...{ type: 'agent', issuer: 'https://idp.example', id: 'bot', groups: [], claims: {}, chain: [] },
      expiresAtMs: nowMs + 300_000,
    };
    const request = { identity, publicKey, authority, principals: [sshd.user], nowMs, lifetimeSeconds: 300 };
    const certified = certifyIdentity({ ...request, random: randomBytes });
    if ('fault' in certified) throw new Error(certified.fault.message);
    expect(await login(certified.blob)).toEqual({ code: 255, stdout: '' });
    expect(sshd.log()).toMatch(/critical option "identity@sallyport" is not supported/);
  });

  test('and would take them without the critical option: it is that which keeps agents out', async () => {
    const blob = signCertificate(authority, {
      ...{ type: 'user', publicKey, serial: 1n, keyId: 'bot', principals: [sshd.user], nonce: randomBytes(32) },
      ...{ validAfter: 0n, validBefore: BigInt(Math.ceil(nowMs / 1000) + 300) },
      ...{ criticalOptions: new Map(), extensions: new Map() },
    });
    expect(await login(blob ?? Buffer.alloc(0))).toEqual({ code: 0, stdout: 'in' });
  });
});
