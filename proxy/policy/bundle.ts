import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';
import { type BundleVerification, verifySignatures } from './signature.ts';

/** A policy bundle, read and verified, not yet compiled. */
export interface Bundle {
  /** `.manifest` `revision`; never empty. */
  readonly revision: string;
  /** Grows from one bundle to the next where its publisher numbers them (`.manifest` `metadata.sequence`). */
  readonly sequence: number | undefined;
  readonly wasm: Uint8Array;
  /** What the policy reads of `input`, as paths; `[[]]` when the bundle does not say: all of it. */
  readonly reads: readonly (readonly string[])[];
  /** `data.json`: the policies' own constants, under the bundle's roots. */
  readonly data: JsonObject;
  /** `schemas/config.json`: the shape of `data.config` that the policies were checked with. */
  readonly configSchema: JsonObject | undefined;
  /** The Rego sources, for the checks of `patterns.ts`. */
  readonly sources: ReadonlyMap<string, string>;
}

/** The one entrypoint a bundle must offer. */
export const entrypoint = 'sallyport/decision';

/**
 * Reads a gzipped tar as OPA writes it.
 *
 * @param bytes - at most `limits.bundleBytesMax`, compressed and unpacked each.
 * @throws GatewayError `policy_unavailable` for anything but a well-formed, correctly signed bundle.
 * @see https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format
 */
export async function readBundle(bytes: Uint8Array, verification?: BundleVerification): Promise<Bundle> {
  const files = await unpack(bytes);
  await verifySignatures(files, verification);
  const manifest = objectOf(parse(files, '.manifest'), '.manifest');
  const roots = manifest.roots;
  if (!Array.isArray(roots) || roots.length === 0 || !roots.every((root) => typeof root === 'string')) {
    throw refuse('its manifest names no roots');
  }
  // Run-time data lives outside the roots: a bundle that owns it could relabel what it judges.
  if (roots.some((root) => `${root}/`.startsWith('config/') || root === ''))
    throw refuse('its roots include data.config');
  if (files.has('patch.json')) throw refuse('it is a delta bundle');
  return {
    revision: revisionOf(manifest),
    sequence: sequenceOf(manifest),
    wasm: moduleOf(files, manifest),
    reads: readsOf(files),
    data: dataOf(files, roots.map(String)),
    configSchema: files.has('schemas/config.json')
      ? objectOf(parse(files, 'schemas/config.json'), 'schemas/config.json')
      : undefined,
    sources: sourcesOf(files),
  };
}

/**
 * The regular files of a gzipped tar, by normalised path.
 *
 * @throws GatewayError `policy_unavailable` for links, devices, `..`, a path twice, or too much of anything.
 */
export async function unpack(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  if (bytes.length > limits.bundleBytesMax) throw refuse('it is too large');
  const files = new Map<string, Uint8Array>();
  const entries = extract();
  const gunzip = createGunzip();
  // A tar header can claim any size: what is counted is what comes out of the decompressor.
  let unpacked = 0;
  gunzip.on('data', (chunk: Uint8Array) => {
    unpacked += chunk.length;
    if (unpacked > limits.bundleBytesMax) gunzip.destroy(refuse('it unpacks to more than its bound'));
  });
  gunzip.on('error', (error) => entries.destroy(error));
  gunzip.pipe(entries);
  gunzip.end(bytes);
  try {
    for await (const entry of entries) {
      const path = pathOf(entry.header);
      if (path === undefined) {
        entry.resume();
        continue;
      }
      if (files.has(path)) throw refuse(`it holds ${path} twice`);
      if (files.size >= limits.bundleFilesMax) throw refuse('it holds too many files');
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry) chunks.push(chunk as Uint8Array);
      files.set(path, Buffer.concat(chunks));
    }
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    throw refuse('it is not a gzipped tar', thrown);
  } finally {
    gunzip.destroy();
  }
  return files;
}

/** The path of a regular file without its leading slash; `undefined` for a directory. */
function pathOf(header: Header): string | undefined {
  if (header.type === 'directory') return undefined;
  if (header.type !== 'file') throw refuse(`it holds a ${header.type ?? 'nameless'} entry`);
  const path = header.name.replace(/^\.?\//, '');
  const segments = path.split('/');
  const plain = !path.includes('\\') && ![...path].some((character) => character < ' ');
  if (!plain || segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw refuse('it holds a path that leaves it');
  }
  return path;
}

function moduleOf(files: ReadonlyMap<string, Uint8Array>, manifest: JsonObject): Uint8Array {
  const resolvers = manifest.wasm;
  const resolver = Array.isArray(resolvers)
    ? resolvers.find(
        (item: Json) => typeof item === 'object' && item !== null && Reflect.get(item, 'entrypoint') === entrypoint,
      )
    : undefined;
  const name = resolver === undefined ? undefined : Reflect.get(resolver as object, 'module');
  const wasm = typeof name === 'string' ? files.get(name.replace(/^\//, '')) : undefined;
  if (wasm === undefined) throw refuse(`it has no WebAssembly module for ${entrypoint}`);
  return wasm;
}

function revisionOf(manifest: JsonObject): string {
  const { revision } = manifest;
  if (typeof revision !== 'string' || revision === '' || revision.length > 128)
    throw refuse('its manifest has no revision');
  return revision;
}

function sequenceOf(manifest: JsonObject): number | undefined {
  const metadata = manifest.metadata;
  if (typeof metadata !== 'object' || metadata === null) return undefined;
  const sequence: unknown = Reflect.get(metadata, 'sequence');
  if (sequence === undefined) return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0)
    throw refuse('its sequence is not a number');
  return sequence;
}

/** `deps.json`: the paths that `opa deps` found, without their leading `input`. */
function readsOf(files: ReadonlyMap<string, Uint8Array>): readonly (readonly string[])[] {
  if (!files.has('deps.json')) return [[]];
  const { input } = objectOf(parse(files, 'deps.json'), 'deps.json');
  if (!Array.isArray(input)) throw refuse('its deps.json has another shape');
  return input.map((path: Json) => {
    if (!Array.isArray(path) || !path.every((segment) => typeof segment === 'string'))
      throw refuse('its deps.json has another shape');
    return path.map(String);
  });
}

function dataOf(files: ReadonlyMap<string, Uint8Array>, roots: readonly string[]): JsonObject {
  for (const path of files.keys()) {
    if (path !== 'data.json' && /(^|\/)data\.(json|ya?ml)$/.test(path))
      throw refuse('it spreads its data over several files');
  }
  if (!files.has('data.json')) return {};
  const data = objectOf(parse(files, 'data.json'), 'data.json');
  const outside = Object.keys(data).find((key) => !roots.some((root) => root === key || root.startsWith(`${key}/`)));
  if (outside !== undefined) throw refuse('it holds data outside its roots');
  return data;
}

function sourcesOf(files: ReadonlyMap<string, Uint8Array>): Map<string, string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return new Map(
    [...files].filter(([path]) => path.endsWith('.rego')).map(([path, bytes]) => [path, decoder.decode(bytes)]),
  );
}

function parse(files: ReadonlyMap<string, Uint8Array>, path: string): unknown {
  const bytes = files.get(path);
  if (bytes === undefined) throw refuse(`it has no ${path}`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (thrown) {
    throw refuse(`its ${path} is not JSON`, thrown);
  }
}

function objectOf(value: unknown, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(`its ${path} is not an object`);
  return value as JsonObject;
}

function refuse(why: string, cause?: unknown): GatewayError {
  return new GatewayError('policy_unavailable', `The policy bundle is refused: ${why}.`, { cause });
}
