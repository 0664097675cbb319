import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CompactSign } from 'jose';
import { readBundle, unpack } from '../../../proxy/policy/bundle.ts';
import { type BundleVerification, hashOf, verifySignatures } from '../../../proxy/policy/signature.ts';
import { opaPath } from '../rego/opa.ts';
import { altered, defaultBundle, root } from './support.ts';

const files = new Map<string, Uint8Array>([
  ['.manifest', Buffer.from('{"roots": ["sallyport"], "revision": "r1"}')],
  ['data.json', Buffer.from('{"b": 1.0, "a": [1e3, "<&>"]}')],
  ['policy.wasm', Buffer.from([0, 1, 2, 3])],
  ['deps.json', Buffer.from('{"input":  []}')],
]);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const trusted: BundleVerification = { algorithm: 'RS256', key: pem(rsa.publicKey) };
const refused = (why: RegExp) =>
  expect.objectContaining({ code: 'policy_unavailable', message: expect.stringMatching(why) });

interface Signing {
  readonly alg?: string;
  readonly key?: KeyObject | Uint8Array;
  readonly payload?: (entries: { name: string; hash: string; algorithm: string }[]) => unknown;
}

async function signed({
  alg = 'RS256',
  key = rsa.privateKey,
  payload = (entries) => ({ files: entries }),
}: Signing = {}) {
  const entries = [...files].map(([name, content]) => ({
    name,
    hash: hashOf(name, content, 'SHA-256'),
    algorithm: 'SHA-256',
  }));
  const token = await new CompactSign(Buffer.from(JSON.stringify(payload(entries))))
    .setProtectedHeader({ alg })
    .sign(key);
  return new Map([...files, ['.signatures.json', Buffer.from(JSON.stringify({ signatures: [token] }))]]);
}

test('what the configured key signed is accepted, in each kind of algorithm', async () => {
  await verifySignatures(await signed(), trusted);
  await verifySignatures(await signed({ alg: 'PS256' }), { ...trusted, algorithm: 'PS256' });
  await verifySignatures(await signed({ alg: 'ES256', key: ec.privateKey }), {
    algorithm: 'ES256',
    key: pem(ec.publicKey),
  });
  await verifySignatures(await signed({ alg: 'HS256', key: Buffer.from('a secret') }), {
    algorithm: 'HS256',
    key: 'a secret',
  });
});

test('without key and signature there is nothing to check', async () => {
  await verifySignatures(files, undefined);
});

describe('a bundle is refused', () => {
  test('when a key is configured and it is not signed', async () => {
    await expect(verifySignatures(files, trusted)).rejects.toEqual(refused(/not signed/));
  });

  test('when it is signed and no key is configured', async () => {
    await expect(verifySignatures(await signed(), undefined)).rejects.toEqual(refused(/no key/));
  });

  test('when another key signed it', async () => {
    await expect(verifySignatures(await signed({ key: other.privateKey }), trusted)).rejects.toEqual(
      refused(/does not verify/),
    );
  });

  test('when its header names another algorithm than the configuration', async () => {
    await expect(verifySignatures(await signed({ alg: 'RS512' }), trusted)).rejects.toEqual(refused(/does not verify/));
  });

  test('when the public key was used as a shared secret', async () => {
    const forged = await signed({ alg: 'HS256', key: Buffer.from(trusted.key) });
    await expect(verifySignatures(forged, trusted)).rejects.toEqual(refused(/does not verify/));
  });

  test('when its token is signed with nothing', async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${encode({ alg: 'none' })}.${encode({ files: [] })}.`;
    const unsigned = new Map([...files, ['.signatures.json', Buffer.from(JSON.stringify({ signatures: [token] }))]]);
    await expect(verifySignatures(unsigned, trusted)).rejects.toEqual(refused(/does not verify/));
    await expect(verifySignatures(unsigned, { ...trusted, algorithm: 'none' })).rejects.toEqual(
      refused(/not supported/),
    );
  });

  test('when it holds no signature, or two', async () => {
    for (const signatures of [[], ['a', 'b'], 'a']) {
      const odd = new Map([...files, ['.signatures.json', Buffer.from(JSON.stringify({ signatures }))]]);
      await expect(verifySignatures(odd, trusted)).rejects.toEqual(refused(/exactly one/));
    }
  });

  test('when a byte of any file changed', async () => {
    for (const name of files.keys()) {
      const changed = await signed();
      changed.set(name, Buffer.from(name.endsWith('.wasm') ? [0, 1, 2, 4] : '{"b": 2}'));
      await expect(verifySignatures(changed, trusted)).rejects.toEqual(refused(/not what was signed/));
    }
  });

  test('when a file was added', async () => {
    const more = await signed();
    more.set('policies/evil.rego', Buffer.from('package evil'));
    await expect(verifySignatures(more, trusted)).rejects.toEqual(refused(/evil\.rego is not signed/));
  });

  test('when a file is missing', async () => {
    const fewer = await signed();
    fewer.delete('deps.json');
    await expect(verifySignatures(fewer, trusted)).rejects.toEqual(refused(/missing/));
  });

  test('when its signature names a file twice', async () => {
    const twice = await signed({ payload: (entries) => ({ files: [...entries, entries[0]] }) });
    await expect(verifySignatures(twice, trusted)).rejects.toEqual(refused(/twice/));
  });

  test('when it is signed for another scope', async () => {
    const scoped = await signed({ payload: (entries) => ({ files: entries, scope: 'read' }) });
    await verifySignatures(scoped, { ...trusted, scope: 'read' });
    await expect(verifySignatures(scoped, { ...trusted, scope: 'write' })).rejects.toEqual(refused(/scope/));
    await expect(verifySignatures(await signed(), { ...trusted, scope: 'read' })).rejects.toEqual(refused(/scope/));
  });

  test('when a file is hashed with a broken algorithm', async () => {
    const weak = await signed({
      payload: (entries) => ({
        files: entries.map(({ name }) => ({
          name,
          hash: createHash('md5')
            .update(files.get(name) ?? '')
            .digest('hex'),
          algorithm: 'MD5',
        })),
      }),
    });
    await expect(verifySignatures(weak, trusted)).rejects.toEqual(refused(/hashed with MD5/));
  });
});

test('documents are hashed by what they say, and files that only look like them byte by byte', () => {
  const document = Buffer.from('{"b":1.0,"a":2}');
  const rewritten = Buffer.from(' { "a" : 2, "b" : 1.0 } ');
  expect(hashOf('data.json', rewritten, 'SHA-256')).toBe(hashOf('data.json', document, 'SHA-256'));
  expect(hashOf('data.json', Buffer.from('{"b":1,"a":2}'), 'SHA-256')).not.toBe(
    hashOf('data.json', document, 'SHA-256'),
  );
  expect(hashOf('deps.json', rewritten, 'SHA-256')).not.toBe(hashOf('deps.json', document, 'SHA-256'));
});

const opa = opaPath();
const withOpa = opa === undefined && process.env.CI !== 'true' ? test.skip : test;

withOpa('OPA verifies what the bundle script signs, and refuses it under another key', async () => {
  await inDirectory(async (directory) => {
    const ours = join(directory, 'ours.tar.gz');
    const key = join(directory, 'key.pem');
    await writeFile(key, rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    execFileSync(process.execPath, ['scripts/bundle.ts', '--output', ours, '--signing-key', key], {
      cwd: root,
      env: { ...process.env, OPA: opa, NODE_OPTIONS: '' },
    });
    await expect(readBundle(await readFile(ours), trusted)).resolves.toMatchObject({ revision: expect.any(String) });
    const verify = async (publicKey: string) => {
      await writeFile(join(directory, 'public.pem'), publicKey);
      const flags = ['--verification-key', join(directory, 'public.pem'), '-o', join(directory, 'out.tar.gz')];
      execFileSync(opa ?? 'opa', ['build', '--bundle', ...flags, ours], { stdio: 'pipe' });
    };
    await verify(trusted.key);
    await expect(verify(pem(other.publicKey))).rejects.toThrow(/verification/);
  });
});

withOpa('the gateway verifies what OPA signs', async () => {
  await inDirectory(async (directory) => {
    const key = join(directory, 'key.pem');
    await writeFile(key, rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    // What a parser that rewrites numbers, keys or strings would hash differently.
    const data = '{"sallyport": {"z": 1.0, "a": [1e3, 12345678901234567890, "<&>\\u2028\u2029 \uD83D\uDE00"]}}';
    const bundle = join(directory, 'bundle.tar.gz');
    await writeFile(bundle, await altered(defaultBundle, { 'data.json': data }));
    const contents = await unpack(await readFile(bundle));
    const sign = ['sign', '--bundle', '--signing-key', key, '--output-file-path', directory, bundle];
    execFileSync(opa ?? 'opa', sign, { stdio: 'pipe' });
    const signature = await readFile(join(directory, '.signatures.json'));
    await verifySignatures(new Map([...contents, ['.signatures.json', signature]]), trusted);
  });
});

async function inDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-signature-'));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
