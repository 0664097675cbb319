/** The words that the parts of the HTTP path speak in. */
import type { Fault, Json, JsonObject } from '../../core/types.ts';

/** A name in lower case and its value. */
export type Header = readonly [name: string, value: string];

/** A request in the one form that is judged and forwarded. Nothing else of what the client sent goes on. */
export interface CanonicalRequest {
  /** Upper case, one of a list. */
  readonly method: string;
  /** Lower case, without the default port and a trailing dot; one of the hosts of the listener. */
  readonly host: string;
  /** As forwarded: begins with `/`, no empty segments, `.`, `..`; percent-encoding in upper case and only where needed. */
  readonly path: string;
  /** The same path, split once and decoded. A trailing slash is an empty last segment. */
  readonly segments: readonly string[];
  /** As forwarded, without `?`; empty when there is none. */
  readonly queryText: string;
  /** In the order of the request, decoded. */
  readonly query: readonly Header[];
  /** Those that may be forwarded and judged: no credentials, no hop-by-hop, nothing that overrides method, host or path. */
  readonly headers: readonly Header[];
  /** `type/subtype` in lower case, without parameters; empty when there is no body. */
  readonly contentType: string;
  /** The same with its parameters, as forwarded: what `parseBody` takes. */
  readonly contentTypeHeader: string;
  /** As announced; undefined for a chunked body; 0 for none. */
  readonly contentLength: number | undefined;
  /** The bearer token, if there was exactly one well-formed one. Never log it. */
  readonly token: string | undefined;
  /** What the connection is to become, if that was asked for and may be. Its own headers are among `headers` then. */
  readonly upgrade: 'websocket' | undefined;
}

/** What is refused before policy is asked; `status` is what HTTP calls the fault. */
export interface Refused<Status extends number> {
  readonly fault: Fault;
  readonly status: Status;
}

/** Whether a request could be read. */
export type CanonicalResult =
  | { readonly request: CanonicalRequest }
  | Refused<400 | 405 | 413 | 414 | 415 | 417 | 421 | 431 | 501 | 505>;

/** Whether a body could be read. */
export type BodyResult = ParsedBody | Refused<400 | 413 | 415>;

/** A route that a request falls under. */
export interface RouteMatch {
  /** The template, `/users/{id}`; empty when no route is known for the request. */
  readonly template: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly operationId: string | undefined;
  readonly tags: readonly string[];
}

/** A body that was read for policy. */
export type ParsedBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly value: Json }
  | { readonly kind: 'form'; readonly fields: readonly Header[] }
  | {
      readonly kind: 'multipart';
      readonly parts: readonly { readonly name: string; readonly bytes: number; readonly contentType: string }[];
    }
  | { readonly kind: 'graphql'; readonly value: JsonObject; readonly operations: readonly GraphqlOperation[] }
  /** Present and not looked into. */
  | { readonly kind: 'opaque'; readonly bytes: number | undefined };

/** What a GraphQL document would do, by the names the schema knows (aliases resolved). */
export interface GraphqlOperation {
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly name: string;
  /**
   * Paths of fields from the root, `customer.orders.total`, with the values of their arguments. A path comes once for
   * each set of arguments it is asked for with.
   */
  readonly fields: readonly { readonly path: string; readonly arguments: JsonObject }[];
  /** Places in the answer that an alias moved → the path of the field there: `customer.mail` → `customer.email`. */
  readonly aliases: Readonly<Record<string, string>>;
}
