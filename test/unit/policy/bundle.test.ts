import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { readBundle, unpack } from '../../../proxy/policy/bundle.ts';
import { altered, defaultBundle, type Entry, readJson, root, tarball } from './support.ts';

const refused = (why: RegExp) =>
  expect.objectContaining({ code: 'policy_unavailable', message: expect.stringMatching(why) });

test('the bundle that ships is read, with what its policies read of the input', async () => {
  const bundle = await readBundle(await readFile(defaultBundle));
  expect(bundle.revision).toMatch(/^[0-9a-f]{16}$/);
  expect(bundle.reads).toContainEqual(['action', 'properties', 'statements']);
  expect(bundle.reads).not.toContainEqual([]);
  expect(bundle.configSchema).toEqual(await readJson(`${root}rego/schemas/config.json`));
  expect([...bundle.sources.keys()]).toContain('policies/pii/pii.rego');
});

describe('an archive is refused', () => {
  const bad: readonly (readonly [string, readonly Entry[], RegExp])[] = [
    ['that climbs out of itself', [{ header: { name: '../evil.rego' } }], /leaves it/],
    ['that climbs out of itself further down', [{ header: { name: 'a/../../evil' } }], /leaves it/],
    ['with an empty path segment', [{ header: { name: 'a//b' } }], /leaves it/],
    ['with a backslash in a path', [{ header: { name: 'a\\b' } }], /leaves it/],
    ['with a line break in a path', [{ header: { name: 'a\nb' } }], /leaves it/],
    ['with a symbolic link', [{ header: { name: 'a', type: 'symlink', linkname: '/etc/passwd' } }], /symlink/],
    ['with a hard link', [{ header: { name: 'a', type: 'link', linkname: 'b' } }], /link/],
    ['with a device', [{ header: { name: 'a', type: 'character-device' } }], /character-device/],
    ['with a path twice', [{ header: { name: 'a' } }, { header: { name: 'a' } }], /twice/],
    ['with a path twice, once with a leading slash', [{ header: { name: 'a' } }, { header: { name: '/a' } }], /twice/],
    ['with a path twice, once with a leading dot', [{ header: { name: 'a' } }, { header: { name: './a' } }], /twice/],
  ];
  test.each(bad)('%s', async (_title, entries, why) => {
    await expect(unpack(await tarball(entries))).rejects.toEqual(refused(why));
  });

  test('with more files than its bound', async () => {
    const entries = Array.from({ length: limits.bundleFilesMax + 1 }, (_, index) => ({
      header: { name: `f${index}` },
    }));
    await expect(unpack(await tarball(entries))).rejects.toEqual(refused(/too many files/));
  });

  test('that unpacks to more than its bound, however small it looks', async () => {
    const bomb = gzipSync(Buffer.alloc(limits.bundleBytesMax + 1));
    expect(bomb.length).toBeLessThan(1024 * 1024);
    await expect(unpack(bomb)).rejects.toEqual(refused(/unpacks to more/));
  });

  test('that is larger than its bound before it is unpacked', async () => {
    await expect(unpack(Buffer.alloc(limits.bundleBytesMax + 1))).rejects.toEqual(refused(/too large/));
  });

  test('that is not gzip', async () => {
    await expect(unpack(Buffer.from('not gzip'))).rejects.toEqual(refused(/not a gzipped tar/));
  });

  test('that is gzip and not tar', async () => {
    await expect(unpack(gzipSync(Buffer.alloc(2048, 'x')))).rejects.toEqual(refused(/not a gzipped tar/));
  });

  test('that is cut off anywhere', async () => {
    const whole = await readFile(defaultBundle);
    for (const end of [1, 10, 512, Math.floor(whole.length / 2), whole.length - 1]) {
      await expect(unpack(whole.subarray(0, end))).rejects.toEqual(refused(/not a gzipped tar/));
    }
  });
});

describe('a bundle is refused', () => {
  const bad: readonly (readonly [string, Parameters<typeof altered>[1], RegExp])[] = [
    ['without a manifest', { '.manifest': undefined }, /no \.manifest/],
    ['with a manifest that is not JSON', { '.manifest': '{' }, /not JSON/],
    ['with a manifest that is not an object', { '.manifest': [] }, /not an object/],
    ['without roots', { '.manifest': manifest({ roots: undefined }) }, /no roots/],
    ['that owns all of data', { '.manifest': manifest({ roots: [''] }) }, /data\.config/],
    ['that owns data.config', { '.manifest': manifest({ roots: ['sallyport', 'config'] }) }, /data\.config/],
    ['that owns part of data.config', { '.manifest': manifest({ roots: ['config/upstreams'] }) }, /data\.config/],
    ['without a revision', { '.manifest': manifest({ revision: '' }) }, /no revision/],
    [
      'without the entrypoint',
      { '.manifest': manifest({ wasm: [{ entrypoint: 'other', module: '/policy.wasm' }] }) },
      /no WebAssembly/,
    ],
    ['without its module', { 'policy.wasm': undefined }, /no WebAssembly/],
    ['with data outside its roots', { 'data.json': { config: { modes: { pii: 'shadow' } } } }, /outside its roots/],
    ['with data in further files', { 'config/data.json': {} }, /several files/],
    ['with data as YAML', { 'data.yaml': 'a: 1' }, /several files/],
    ['that is a delta', { 'patch.json': { data: [] } }, /delta/],
    ['whose reads have another shape', { 'deps.json': { input: ['action'] } }, /deps\.json/],
    ['with a sequence that is not a number', { '.manifest': manifest({ metadata: { sequence: 'x' } }) }, /sequence/],
  ];
  test.each(bad)('%s', async (_title, changes, why) => {
    await expect(altered(defaultBundle, changes).then((bytes) => readBundle(bytes))).rejects.toEqual(refused(why));
  });

  test('not for leaving out what it reads: then it is taken to read everything', async () => {
    const bundle = await readBundle(await altered(defaultBundle, { 'deps.json': undefined }));
    expect(bundle.reads).toEqual([[]]);
  });
});

function manifest(changes: Record<string, unknown>): string {
  return JSON.stringify({
    revision: 'r1',
    roots: ['sallyport'],
    wasm: [{ entrypoint: 'sallyport/decision', module: '/policy.wasm' }],
    rego_version: 1,
    ...changes,
  });
}
