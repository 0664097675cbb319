import type { Json, JsonObject, Principal } from '../../core/types.ts';
import type { EventStream } from './event-stream.ts';
import type { Role } from './roles.ts';

/** JSON Schema, as OpenAPI 3.1 has it. */
export type Schema = { readonly [key: string]: Json };

/** Who asks, and by which way. */
export interface Visitor {
  readonly principal: Principal;
  readonly role: Role;
  /** `console` for a browser that is signed in, `cli` for a token. */
  readonly channel: 'console' | 'cli';
}

/** A request, once everything about it was looked at. */
export interface ApiRequest {
  readonly visitor: Visitor;
  /** What stands in the place of `{name}`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Parameters of the query, as the route's schema lets them through. */
  readonly query: Readonly<Record<string, string>>;
  /** The body, as the route's schema lets it through; empty where the route has none. */
  readonly body: JsonObject;
  readonly clientAddress: string;
}

/** What is answered: JSON, lines of text, or events until either side ends. */
export type Answer =
  | { readonly json: Json; readonly status?: number }
  | { readonly type: string; readonly lines: AsyncIterable<string> }
  /** Begins to send events; what it returns is called once when the stream ends. */
  | { readonly events: (stream: EventStream) => () => void };

/** An answer that is not JSON. */
export interface Media {
  readonly type: string;
  readonly description: string;
}

/** A document that everybody may read, the same for all. */
export interface OpenDocument {
  readonly path: string;
  readonly summary: string;
  readonly json: Json;
}

/** One operation of the API. The OpenAPI document is made of these, so that it cannot say anything else. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below the root, with `{name}` for a segment. */
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  /** Schemas of the query's parameters, by name; every one may be left out, anything else is refused. */
  readonly query?: Readonly<Record<string, Schema>>;
  readonly body?: Schema;
  /** What is answered with 200: the schema of the JSON, or another media type. */
  readonly answer: Schema | Media;
  /** Another media type that the same operation can answer with. */
  readonly also?: Media;
  handle(request: ApiRequest): Answer | Promise<Answer>;
}

/** A request to a route that authenticates whoever calls by its own means, over the bytes of the body. */
export interface HookRequest {
  readonly headers: Readonly<Record<string, string>>;
  /** As it came. */
  readonly body: Buffer;
  readonly clientAddress: string;
}

/** A route for machines that sign what they send (Slack): it takes the raw body and nobody's session. */
export interface Hook {
  readonly path: string;
  /** The body of the answer is plain text. */
  handle(request: HookRequest): Promise<{ readonly status: number; readonly body: string }>;
}
