/** A host's certificate is worth what the key exchange proves: possession of the key inside it. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parseKey } from '../../../../../proxy/protocols/ssh/ssh2.ts';
import { testWith } from '../../../../clients/tools.ts';
import { makeCertificate, makeSshKey, type SshKey } from '../../../../support/ssh-keys.ts';
import { findSshd, startSshd } from '../../../../support/sshd.ts';
import { raw, startClient, startServer } from './pair.ts';

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

const algorithm = 'ssh-ed25519-cert-v01@openssh.com';
const { KexInit } = createRequire(import.meta.url)('ssh2/lib/protocol/kex.js') as {
  KexInit: new (lists: object) => object;
};

/** A host that shows this certificate and signs with that key, whether or not they belong together. */
async function startHost(certificate: Buffer, key: SshKey): Promise<number> {
  const parsed = parseKey(key.privateKey);
  const signer = Array.isArray(parsed) ? parsed[0] : parsed;
  if (signer === undefined || signer instanceof Error) throw new Error('no key');
  const shown = Object.create(signer, { getPublicSSH: { value: () => certificate } }) as object;
  const lists = { cipher: ['aes128-gcm@openssh.com'], mac: ['hmac-sha2-256'], compress: ['none'], lang: [] };
  const server = await startServer({
    connected: (connection) => {
      Object.assign(raw(connection), {
        _hostKeys: { [algorithm]: shown },
        _offer: new KexInit({ kex: ['curve25519-sha256'], serverHostKey: [algorithm], cs: lists, sc: lists }),
      });
    },
  });
  undo.push(() => server.stop());
  return server.port;
}

async function connect(port: number): Promise<Error | undefined> {
  const { client, errors, closed } = startClient(port, {
    algorithms: { serverHostKey: [algorithm] },
    hostVerifier: (() => true) as never,
  });
  undo.push(() => client.destroy());
  await Promise.race([once(client as unknown as NodeJS.EventEmitter, 'ready').catch(() => {}), closed]);
  return errors[0];
}

async function certify(key: SshKey): Promise<Buffer> {
  const line = await makeCertificate({
    ...{ ca: await makeSshKey(), publicKey: key.publicKey, kind: 'host', principals: ['host.example'] },
  });
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}

describe('a host that shows a certificate', () => {
  testWith(['ssh-keygen'])('is believed when it signs with the key inside it', async () => {
    const key = await makeSshKey();
    expect(await connect(await startHost(await certify(key), key))).toBeUndefined();
  });

  testWith(['ssh-keygen'])('of somebody else is not', async () => {
    const [victim, thief] = [await makeSshKey(), await makeSshKey()];
    const error = await connect(await startHost(await certify(victim), thief));
    expect(error?.message).toBe('Handshake failed: signature verification failed');
  });

  test('is not believed when it shows a bare key in its place', async () => {
    const key = await makeSshKey();
    const bare = Buffer.from(key.publicKey.split(' ')[1] ?? '', 'base64');
    const error = await connect(await startHost(bare, key));
    expect(error?.message).toBe('Host key does not match negotiated type');
  });
});

testWith(['ssh-keygen'], findSshd() === undefined ? ['sshd'] : [])(
  'the whole certificate of a real host reaches whoever verifies it',
  async () => {
    const authority = await makeSshKey();
    const sshd = await startSshd({ hostCertificate: { ca: authority, principals: ['host.example'] } });
    undo.push(() => sshd.stop());
    const shown: Buffer[] = [];
    const { client } = startClient(sshd.port, {
      ...{ username: sshd.user, privateKey: sshd.clientKey, authHandler: ['publickey'] },
      algorithms: { serverHostKey: [algorithm] },
      hostVerifier: ((key: Buffer) => {
        shown.push(Buffer.from(key));
        return true;
      }) as never,
    });
    undo.push(() => client.destroy());
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
    expect(shown.map((blob) => blob.toString('base64'))).toEqual([sshd.hostCertificate?.split(' ')[1]]);
  },
);
