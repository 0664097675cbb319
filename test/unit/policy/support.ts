import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import type { Clock, PolicyQuery } from '../../../proxy/core/ports.ts';
import type { Json, JsonObject, OperationFacts } from '../../../proxy/core/types.ts';
import { unpack } from '../../../proxy/policy/bundle.ts';
import { createPolicyEngine, type PolicyEngine, type PolicyEvent } from '../../../proxy/policy/engine.ts';

/** The folder of the repository. */
export const root = new URL('../../../', import.meta.url).pathname;
/** The bundle that ships. */
export const defaultBundle = `${root}bundles/default.tar.gz`;

/** A bundle built from `fixtures/<name>/` by `fixtures/build.sh`. */
export function fixture(name: 'echo' | 'volatile' | 'raw' | 'builtin'): string {
  return `${root}test/unit/policy/fixtures/${name}.tar.gz`;
}

/** A clock that stands still until it is told otherwise. */
export class TestClock implements Clock {
  ms = Date.parse('2026-11-22T09:30:00Z');
  nowMs(): number {
    return this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
}

export async function readJson(path: string): Promise<JsonObject> {
  return JSON.parse(await readFile(path, 'utf8')) as JsonObject;
}

/** An engine over a bundle file and data given as a document; closed by the caller. */
export function engineOf(
  bundle: string,
  value: JsonObject,
  more: { clock?: Clock; onEvent?: (event: PolicyEvent) => void } = {},
): Promise<PolicyEngine> {
  return createPolicyEngine({ bundle: { file: bundle }, data: { value }, clock: new TestClock(), ...more });
}

/** Facts of an operation whose documents are given; the adapter's part of them is not used. */
export function factsOf(input: {
  readonly action: { readonly name: string; readonly properties: JsonObject };
  readonly resource: { readonly type: string; readonly id: string; readonly properties: JsonObject };
  readonly complete?: boolean;
}): OperationFacts {
  return {
    action: input.action,
    resource: input.resource,
    complete: input.complete ?? true,
    enforce: () => ({ plan: undefined }),
    describe: () => ({}),
  };
}

/** A query of the `raw` and `echo` fixtures: their policies say what these claims say. */
export function saying(claims: JsonObject, more: Partial<PolicyQuery> = {}): PolicyQuery {
  return {
    subject: { type: 'agent', id: 'tester', properties: { claims } },
    facts: factsOf({
      action: { name: 'select', properties: {} },
      resource: { type: 'database', id: 'orders/app', properties: {} },
    }),
    session: { id: 's1' },
    history: () => ({}),
    ...more,
  };
}

/** The query that an input document of the decision contract stands for. */
export function queryOf(input: JsonObject): PolicyQuery {
  const { subject, action, resource, context } = input as unknown as {
    subject: JsonObject;
    action: { name: string; properties: JsonObject };
    resource: { type: string; id: string; properties: JsonObject };
    context: { complete: boolean; session?: JsonObject; approval?: JsonObject };
  };
  return {
    subject,
    facts: factsOf({ action, resource, complete: context.complete }),
    session: context.session ?? {},
    history: () => ({}),
    approval: context.approval,
  };
}

/** One entry of a tarball, for the ones no well-meaning tool makes. */
export interface Entry {
  readonly header: Partial<Header> & { readonly name: string };
  readonly content?: string | Uint8Array;
}

/** A gzipped tar of exactly these entries. */
export async function tarball(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { header, content = '' } of entries) tar.entry(header, Buffer.from(content));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

/** A bundle with some of its files replaced, removed (`undefined`) or added. */
export async function altered(
  file: string,
  changes: Readonly<Record<string, Json | Uint8Array | undefined>>,
): Promise<Buffer> {
  const files = await unpack(await readFile(file));
  for (const [path, change] of Object.entries(changes)) {
    if (change === undefined) files.delete(path);
    else if (change instanceof Uint8Array) files.set(path, change);
    else files.set(path, Buffer.from(typeof change === 'string' ? change : JSON.stringify(change)));
  }
  return tarball([...files].map(([name, content]) => ({ header: { name: `/${name}` }, content })));
}

/** `a` with `b` merged into it, objects deeply, as `object.union` in Rego does. */
export function merged(a: Json | undefined, b: Json | undefined): Json {
  if (isObject(a) && isObject(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return Object.fromEntries([...keys].map((key) => [key, merged(a[key], b[key])]));
  }
  return b ?? a ?? null;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
