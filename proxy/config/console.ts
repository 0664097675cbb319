import type { ConfigDocument } from './document.ts';
import { isLoopback, type Readers } from './listeners.ts';
import type { ConsoleConfig } from './types.ts';

/** `console` of the file. */
export interface RawConsole {
  readonly listen: string;
  readonly url?: string;
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly oidc: {
    readonly issuer: string;
    readonly audience: string;
    readonly client_id?: string;
    readonly client_secret?: string;
    readonly device_client_id?: string;
    readonly scopes?: readonly string[];
    readonly groups_claim?: string;
    readonly token_type?: 'at+jwt' | 'any';
    readonly ca?: string;
    readonly allow_insecure_http?: boolean;
  };
  readonly roles: {
    readonly viewer?: readonly string[];
    readonly approver?: readonly string[];
    readonly admin?: readonly string[];
  };
}

type Shape = Record<string, unknown>;

/** The shape of `console`, of the pieces that the schema of the whole file is made of. */
export function consoleSchema(pieces: {
  readonly object: (required: Shape, optional?: Shape) => Shape;
  readonly text: Shape;
  readonly texts: Shape;
  readonly url: Shape;
  readonly secret: Shape;
  readonly address: Shape;
}): Shape {
  const { object, text, texts, url, secret, address } = pieces;
  return object(
    {
      listen: address,
      oidc: object(
        { issuer: url, audience: text },
        {
          client_id: text,
          client_secret: secret,
          device_client_id: text,
          scopes: texts,
          groups_claim: text,
          token_type: { enum: ['at+jwt', 'any'] },
          ca: text,
          allow_insecure_http: { type: 'boolean' },
        },
      ),
      roles: object({}, { viewer: texts, approver: texts, admin: texts }),
    },
    { url, tls: object({ certificate: text, key: secret }) },
  );
}

/** `console` as the gateway uses it; what is wrong is noted in the document. */
export function readConsole(
  document: ConfigDocument,
  raw: RawConsole,
  read: Readers,
  audiences: readonly string[],
): ConsoleConfig {
  const { tls, oidc, roles, url } = raw;
  const listen = read.address(raw.listen, ['console', 'listen']);
  if (tls === undefined && !isLoopback(listen.host)) {
    document.add(['console'], 'needs tls: only loopback may be in clear');
  }
  const allowInsecureHttp = oidc.allow_insecure_http ?? false;
  if (oidc.issuer.startsWith('http:') && !allowInsecureHttp) {
    document.add(['console', 'oidc', 'issuer'], 'must be https (or say allow_insecure_http, for tests)');
  }
  if (audiences.includes(oidc.audience)) {
    document.add(
      ['console', 'oidc', 'audience'],
      'is an audience of the data path: tokens of agents would be good here',
    );
  }
  if (url !== undefined && new URL(url).origin !== url.replace(/\/$/, '')) {
    document.add(['console', 'url'], 'must be an origin, without a path');
  }
  return {
    listen,
    url,
    tls: tls && { certificate: read.path(tls.certificate), key: read.secret(tls.key) },
    oidc: {
      issuer: oidc.issuer,
      audience: oidc.audience,
      clientId: oidc.client_id,
      clientSecret: oidc.client_secret === undefined ? undefined : read.secret(oidc.client_secret),
      deviceClientId: oidc.device_client_id,
      scopes: oidc.scopes ?? ['openid'],
      groupsClaim: oidc.groups_claim ?? 'groups',
      tokenType: oidc.token_type ?? 'at+jwt',
      ca: oidc.ca === undefined ? undefined : read.path(oidc.ca),
      allowInsecureHttp,
    },
    roles: { viewer: roles.viewer ?? [], approver: roles.approver ?? [], admin: roles.admin ?? [] },
  };
}
