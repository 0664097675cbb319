/** How a client learns where to get a token for an upstream (RFC 9728), and what was wrong with its own (RFC 6750). Pure. */
import type { JsonObject } from '../../../core/types.ts';

/** What a 401 or 403 says about the token. */
export interface BearerChallenge {
  /** Where the metadata of the resource is. */
  readonly resourceMetadata: string;
  /** Not given when there was no token at all (RFC 6750 section 3.1). */
  readonly error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope' | undefined;
  readonly description?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
}

/** The value of `WWW-Authenticate`. */
export function bearerChallenge({ resourceMetadata, error, description, scopes = [] }: BearerChallenge): string {
  const parameters = [
    ['resource_metadata', resourceMetadata],
    ['error', error],
    ['error_description', description],
    ['scope', scopes.length === 0 ? undefined : scopes.join(' ')],
  ] as const;
  const written = parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${quotable(value)}"`]));
  return `Bearer ${written.join(', ')}`;
}

/** The characters that RFC 6750 lets stand between the quotes. */
function quotable(value: string): string {
  return value.replaceAll(/[^\x20-\x7e]|["\\]/g, '?');
}

/** The document at {@link protectedResourcePath}. */
export function protectedResourceMetadata(about: {
  /** The URL of the endpoint at the gateway: the audience of its tokens. */
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly string[];
}): JsonObject {
  return {
    resource: about.resource,
    authorization_servers: about.authorizationServers,
    ...(about.scopes.length > 0 && { scopes_supported: about.scopes }),
    // A token in a query or a form is not read.
    bearer_methods_supported: ['header'],
  };
}

/** Where the metadata of the endpoint at a path is (RFC 9728 section 3.1). */
export function protectedResourcePath(path: string): string {
  return `/.well-known/oauth-protected-resource${path === '/' ? '' : path}`;
}
