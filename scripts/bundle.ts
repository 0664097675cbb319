/**
 * Builds a policy bundle that the gateway can run and OPA can load.
 *
 *   OPA=path node scripts/bundle.ts [--check] [--policies rego/policies] [--output bundles/default.tar.gz]
 *     [--revision TEXT] [--sequence N] [--signing-key FILE --signing-alg RS256 [--scope TEXT]]
 *
 * `--check` builds, and compares with the file at `--output` instead of writing it. `--policies` names a folder of
 * policies to bundle with this project's main.rego and lib/ in place of the ones that ship; with `--bare`, by themselves.
 */
import { execFile } from 'node:child_process';
import { createHash, createPrivateKey, createSecretKey } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { CompactSign } from 'jose';
import { pack } from 'tar-stream';
import { unpack } from '../proxy/policy/bundle.ts';
import { hashOf } from '../proxy/policy/signature.ts';

const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    bare: { type: 'boolean', default: false },
    policies: { type: 'string', default: 'rego/policies' },
    output: { type: 'string', default: 'bundles/default.tar.gz' },
    revision: { type: 'string' },
    sequence: { type: 'string' },
    'signing-key': { type: 'string' },
    'signing-alg': { type: 'string', default: 'RS256' },
    scope: { type: 'string' },
  },
});

const opa = process.env.OPA ?? 'opa';
const entrypoint = 'sallyport/decision';
const rego = 'rego';

const run = promisify(execFile);

/** Policies only: no tests, no cases, no example data. Never optimised: -O1 drops rules that read run-time data. */
async function compile(sources: readonly string[], directory: string): Promise<Uint8Array> {
  const built = join(directory, 'built.tar.gz');
  const flags = ['-t', 'wasm', '-O', '0', '-e', entrypoint, '--prune-unused'];
  await run(opa, ['build', ...flags, '--capabilities', join(rego, 'capabilities.json'), '-o', built, ...sources]);
  const wasm = (await unpack(await readFile(built))).get('policy.wasm');
  if (wasm === undefined) throw new Error('opa build made no policy.wasm');
  return wasm;
}

/** What the policies read: the exact paths of `input`, and of `data` outside the policies. */
async function reads(sources: readonly string[]): Promise<{ input: string[][]; data: string[][] }> {
  const flags = sources.flatMap((source) => ['-d', source]);
  const { stdout } = await run(opa, ['deps', ...flags, 'data.sallyport.decision', '-f', 'json'], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const { base } = JSON.parse(stdout) as { base: { type: string; value: unknown }[][] };
  const paths = base.map((reference) => {
    // A variable segment means anything below: the path ends before it.
    const end = reference.findIndex(({ type }, index) => index > 0 && type !== 'string');
    return (end === -1 ? reference : reference.slice(0, end)).map(({ value }) => String(value));
  });
  // `opa check` takes a misspelt rule for data that may come later; its deny would silently be undefined.
  const stray = paths.find(([root, head]) => root === 'data' && head !== 'config');
  if (stray !== undefined) throw new Error(`${stray.join('.')} is read, and no rule defines it`);
  const below = (root: string) => {
    const found = paths.filter(([head]) => head === root).map(([, ...rest]) => rest);
    return found
      .filter(
        (path) =>
          !found.some(
            (other) => other.length < path.length && other.every((segment, index) => segment === path[index]),
          ),
      )
      .sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
  };
  return { input: below('input'), data: below('data') };
}

async function contents(directory: string): Promise<Map<string, Uint8Array>> {
  const own = options.bare ? [] : [join(rego, 'main.rego'), ...(await regoFiles(join(rego, 'lib')))];
  const sources = [...own, ...(await regoFiles(options.policies))];
  const wasm = await compile(sources, directory);
  const files = new Map<string, Uint8Array>();
  files.set('data.json', bytes({}));
  files.set('deps.json', bytes(await reads(sources)));
  files.set('policy.wasm', wasm);
  files.set('schemas/config.json', bytes(JSON.parse(await readFile(join(rego, 'schemas/config.json'), 'utf8'))));
  for (const source of sources) files.set(nameOf(source), await readFile(source));
  files.set('.manifest', bytes(manifest(files)));
  if (options['signing-key'] !== undefined)
    files.set('.signatures.json', await signatures(files, options['signing-key']));
  return files;
}

/** Policies are under `policies/` in a bundle, wherever they were. */
function nameOf(source: string): string {
  const within = relative(options.policies, source);
  return within.startsWith('..') ? relative(rego, source) : join('policies', within);
}

function manifest(files: ReadonlyMap<string, Uint8Array>): object {
  const digest = createHash('sha256');
  for (const path of [...files.keys()].sort())
    digest.update(`${path}\0${hashOf(path, files.get(path) ?? new Uint8Array(), 'SHA-256')}\0`);
  return {
    revision: options.revision ?? digest.digest('hex').slice(0, 16),
    // Run-time data (data.config) lies outside: inside the roots, what is absent at build time counts as undefined.
    roots: ['sallyport'],
    wasm: [{ entrypoint, module: '/policy.wasm' }],
    rego_version: 1,
    metadata: options.sequence === undefined ? {} : { sequence: Number(options.sequence) },
  };
}

async function signatures(files: ReadonlyMap<string, Uint8Array>, keyFile: string): Promise<Uint8Array> {
  const alg = options['signing-alg'];
  const pem = await readFile(keyFile, 'utf8');
  const key = alg.startsWith('HS') ? createSecretKey(pem.trim(), 'utf8') : createPrivateKey(pem);
  const payload = {
    files: [...files].map(([name, content]) => ({
      name,
      hash: hashOf(name, content, 'SHA-256'),
      algorithm: 'SHA-256',
    })),
    ...(options.scope !== undefined && { scope: options.scope }),
  };
  return bytes({ signatures: [await new CompactSign(bytes(payload)).setProtectedHeader({ alg }).sign(key)] });
}

/** The same files give the same bytes: sorted, without times, owners or modes of this machine. */
async function archive(files: ReadonlyMap<string, Uint8Array>): Promise<Buffer> {
  const tar = pack();
  for (const [path, content] of [...files].sort(([left], [right]) => (left < right ? -1 : 1))) {
    tar.entry({ name: `/${path}`, mode: 0o600, mtime: new Date(0), uid: 0, gid: 0 }, Buffer.from(content));
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  const zipped = gzipSync(Buffer.concat(chunks), { level: 9 });
  zipped[9] = 255; // gzip's "operating system" byte: unknown
  return zipped;
}

async function regoFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.rego') && !entry.name.endsWith('_test.rego'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function bytes(document: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(document));
}

/** Compares files, not gzip streams: another zlib may compress the same bytes differently. */
async function compare(built: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const committed = await unpack(await readFile(options.output));
  const names = new Set([...built.keys(), ...committed.keys()]);
  const differing = [...names].filter(
    (name) => !Buffer.from(built.get(name) ?? '').equals(committed.get(name) ?? Buffer.alloc(0)),
  );
  if (differing.length > 0)
    throw new Error(
      `${options.output} is not what its sources build: ${differing.sort().join(', ')}. Run \`make bundle\`.`,
    );
  console.log(`${options.output} is what its sources build`);
}

const directory = await mkdtemp(join(tmpdir(), 'sallyport-bundle-'));
try {
  const files = await contents(directory);
  const tarball = await archive(files);
  if (!tarball.equals(await archive(await contents(directory))))
    throw new Error('two builds of the same sources differ');
  if (options.check) {
    await compare(files);
  } else {
    await writeFile(options.output, tarball);
    console.log(`${options.output}: ${files.size} files, ${tarball.length} bytes`);
  }
} catch (thrown) {
  const output: unknown = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'stderr') : undefined;
  console.error(
    `bundle: ${typeof output === 'string' && output !== '' ? output : thrown instanceof Error ? thrown.message : String(thrown)}`,
  );
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
