/** What an upstream understood of a request, by its own words, and how servers and frameworks read what they received. */
import type { Json } from '../../../proxy/core/types.ts';

/** One request as one server saw it. */
export interface Understood {
  readonly method: string;
  /** Decoded; what the server looks a resource up by. */
  readonly path: string;
  readonly query: Readonly<Record<string, readonly string[]>>;
  /** In the order and number in which they came; names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** False when only some names were asked for: others may have come as well. */
  readonly headersComplete: boolean;
  /** Undefined when the server does not read bodies of this framing. */
  readonly bodyBytes: number | undefined;
  readonly body?: Json | undefined;
  readonly parts?: readonly { readonly name: string; readonly bytes: number }[] | undefined;
}

/** A query or a form as the URL standard reads it; its class would take a `?` at the beginning away. */
export function parameters(text: string): Record<string, string[]> {
  const search = new URLSearchParams(text.startsWith('?') ? `?${text}` : text);
  return Object.fromEntries([...new Set(search.keys())].map((name) => [name, search.getAll(name)]));
}

/** A body by its type, with what Node has for it: `JSON.parse`, `URLSearchParams`, and fetch's own multipart reader. */
export async function readBody(contentType: string, bytes: Buffer): Promise<Pick<Understood, 'body' | 'parts'>> {
  const essence = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  if (bytes.length === 0) return {};
  if (/^(application|text)\/json$|\+json$/.test(essence)) return { body: JSON.parse(bytes.toString()) };
  if (essence === 'application/x-www-form-urlencoded') return { body: parameters(bytes.toString()) };
  if (essence !== 'multipart/form-data') return {};
  const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': contentType } }).formData();
  return {
    parts: [...form].map(([name, value]) => ({
      name,
      bytes: typeof value === 'string' ? Buffer.byteLength(value) : value.size,
    })),
  };
}

/** Headers by which frameworks let a client say another method, host, path or origin than the request has. */
const overriding =
  /^(x-http-method(-override)?|x-method-override|x-original-(url|uri|method|host)|x-rewrite-url|x-host|x-http-host-override|forwarded|x-forwarded-.*|x-real-ip|true-client-ip|cookie|authorization|proxy-authorization|via)$/;

/** Headers that the gateway itself writes. */
const own: ReadonlySet<string> = new Set(['host', 'connection', 'content-length', 'transfer-encoding']);

/** What the policy was asked, as `judged.rego` writes it into the trail. */
export interface Judged {
  readonly action: {
    readonly name: string;
    readonly properties: {
      readonly segments: readonly string[];
      readonly query: Readonly<Record<string, readonly string[]>>;
      readonly headers: Readonly<Record<string, string>>;
      readonly content_type: string;
      readonly body?: Json;
      readonly body_bytes?: number;
      readonly parts?: readonly { readonly name: string; readonly bytes: number; readonly content_type: string }[];
      readonly incomplete: readonly string[];
    };
  };
  readonly resource: { readonly properties: { readonly upstream: string; readonly host: string } };
  readonly complete: boolean;
}

/** The oracle: everything in which what was judged and what an upstream understood differ. */
export function disagreements({ action, resource, complete }: Judged, seen: Understood, upstream: string): string[] {
  const { properties } = action;
  const found: string[] = [];
  const differ = (what: string, judged: unknown, understood: unknown) => {
    const [one, other] = [canonical(judged), canonical(understood)];
    if (one !== other) found.push(`${what}: judged ${one}, understood ${other}`);
  };
  const values = (name: string) => seen.headers.filter(([other]) => other === name).map(([, value]) => value);
  const hosts = [...values('host'), ...values('x-forwarded-host')].map((host) => host.replace(/:\d+$/, ''));
  differ('upstream', resource.properties.upstream, upstream);
  differ('host', [resource.properties.host.replace(/:\d+$/, '')], hosts);
  differ('method', action.name, values('x-http-method-override')[0] ?? seen.query._method?.[0] ?? seen.method);
  differ('path', `/${properties.segments.join('/')}`, seen.path);
  differ('query', properties.query, seen.query);
  for (const [name, value] of Object.entries(properties.headers)) {
    if (seen.headersComplete || values(name).length > 0) differ(`header ${name}`, [value], values(name));
  }
  for (const [name] of seen.headers) {
    if (overriding.test(name) || !(own.has(name) || Object.hasOwn(properties.headers, name))) {
      found.push(`header ${name}: not judged`);
    }
  }
  if (properties.body !== undefined || seen.body !== undefined) {
    differ('body', properties.body ?? null, seen.body ?? null);
  } else if (properties.parts !== undefined || seen.parts !== undefined) {
    const parts = properties.parts?.map(({ name, bytes }) => ({ name, bytes }));
    differ('parts', parts ?? null, seen.parts ?? null);
  } else if (seen.bodyBytes !== undefined) {
    const opaque = properties.incomplete.includes('body_opaque') && !complete;
    differ('bytes of body', opaque ? (properties.body_bytes ?? seen.bodyBytes) : 0, seen.bodyBytes);
  }
  return found;
}

/** A value as JSON in which the order of members says nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}
