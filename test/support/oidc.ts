/**
 * A real OIDC provider on loopback, for the tests and the demo. Its tokens come out of its own token endpoint:
 * `client_credentials` with a resource indicator gives an agent an RFC 9068 access token, RFC 8693 token exchange gives
 * one with `act`. Every agent is a client of its own, so that `sub` is the client's id; people are clients too, because
 * nobody types a password in a test.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9068 https://www.rfc-editor.org/rfc/rfc8693 https://www.rfc-editor.org/rfc/rfc8707
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, request as tlsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import {
  type Adapter,
  type AdapterPayload,
  errors,
  type KoaContextWithOIDC,
  Provider,
  type UnknownObject,
} from 'oidc-provider';
import {
  answerInteraction,
  applicationPayload,
  memoryAdapter,
  type People,
  peopleConfiguration,
} from './oidc-people.ts';

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token';

/** An agent (or a person) the provider knows. */
export interface OidcClient {
  readonly subject: string;
  /** Random when absent; {@link Oidc.secretOf} tells it. */
  readonly secret?: string;
  readonly groups?: readonly string[];
  /** Further claims of its access tokens. */
  readonly claims?: UnknownObject;
  /** Of its tokens; 300 by default. */
  readonly lifetimeSeconds?: number;
}

/** What a token should say. A subject the provider has not met is registered on the way. */
export interface TokenRequest {
  readonly subject: string;
  readonly groups?: readonly string[];
  /** An absolute URI; the gateway's by default. */
  readonly audience?: string;
  /** 300 by default. */
  readonly lifetimeSeconds?: number;
  readonly claims?: UnknownObject;
  /** Makes it a delegated token: `sub` is this one, `act.sub` the subject above. */
  readonly onBehalfOf?: { readonly sub: string; readonly groups?: readonly string[] };
  /** The agents that passed the delegation on, nearest first; they become nested `act` claims. */
  readonly through?: readonly { readonly sub: string; readonly groups?: readonly string[] }[];
}

/** A running provider. */
export interface Oidc {
  readonly issuer: string;
  /** The audience that {@link token} asks for when nothing else is said. */
  readonly audience: string;
  /** An access token from the token endpoint. */
  token(request: TokenRequest): Promise<string>;
  /** An ID token from the token endpoint: its audience is the client, never the gateway. */
  idToken(subject: string): Promise<string>;
  /** Registers a client, or replaces it. Returns its secret. */
  register(client: OidcClient): string;
  secretOf(subject: string): string | undefined;
  /** Knows these people and applications from now on, instead of earlier ones. */
  invite(people: People): void;
  /** Signs with the provider's current key whatever it is given, for tests that play a bad provider or an attacker. */
  sign(
    payload: JWTPayload,
    header?: { alg?: string; kid?: string; typ?: string; [name: string]: unknown },
  ): Promise<string>;
  /** The current private keys, first the one that signs. */
  readonly keys: readonly JWK[];
  /** Signs with new keys from now on. The old ones leave the key set unless `keepOld`. */
  rotateKeys(options?: { keepOld?: boolean }): Promise<void>;
  /** While true, every request ends in a reset connection. */
  setOutage(down: boolean): void;
  /** How many requests have come in whose path ends like this: `/jwks`, `/.well-known/openid-configuration`. */
  requests(pathEnd: string): number;
  stop(): Promise<void>;
}

/** How to start it: everything has a default, and the default port is a free one. */
export interface OidcOptions {
  /** The name in the issuer URL; it must resolve to loopback. `127.0.0.1` by default. */
  readonly issuerHost?: string;
  readonly port?: number;
  readonly audience?: string;
  readonly clients?: readonly OidcClient[];
  /** What tokens are exchanged for; anything by default. */
  readonly audiences?: readonly string[];
  /** People who sign in, and what they sign in to. {@link Oidc.invite} adds more. */
  readonly people?: People;
  /** Serves https with this certificate; `ca` is what {@link Oidc.token} trusts. All PEM. */
  readonly tls?: { readonly key: string; readonly certificate: string; readonly ca: string };
}

interface Registered {
  readonly secret: string;
  groups: readonly string[];
  claims: UnknownObject;
  lifetimeSeconds: number;
}

/** Starts the provider; it listens on 127.0.0.1 when this resolves. */
export async function startOidc(options: OidcOptions = {}): Promise<Oidc> {
  const audience = options.audience ?? 'https://gateway.sallyport.example';
  const clients = new Map<string, Registered>();
  const seen = new Map<string, number>();
  const sockets = new Set<Socket>();
  let down = false;
  let keys = await newKeys();
  let answer: (incoming: IncomingMessage, response: ServerResponse) => void = (_incoming, response) => response.end();

  const listener = (incoming: IncomingMessage, response: ServerResponse) => {
    const path = incoming.url ?? '';
    seen.set(path, (seen.get(path) ?? 0) + 1);
    if (down) incoming.socket.destroy();
    else answer(incoming, response);
  };
  const server = options.tls
    ? createTlsServer({ key: options.tls.key, cert: options.tls.certificate }, listener)
    : createServer(listener);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const issuer = `${options.tls ? 'https' : 'http'}://${options.issuerHost ?? '127.0.0.1'}:${port}`;
  let people: People = options.people ?? { people: [], applications: [] };
  const renew = () => {
    answer = serve(makeProvider(issuer, keys, clients, people, options.audiences), people);
  };
  renew();

  const register = (client: OidcClient): string => {
    const known = clients.get(client.subject);
    const secret = client.secret ?? known?.secret ?? randomBytes(24).toString('base64url');
    clients.set(client.subject, {
      secret,
      groups: client.groups ?? known?.groups ?? [],
      claims: client.claims ?? known?.claims ?? {},
      lifetimeSeconds: client.lifetimeSeconds ?? 300,
    });
    return secret;
  };
  for (const client of options.clients ?? []) register(client);

  const ask = async (subject: string, fields: Record<string, string>): Promise<string> => {
    const answered = await post(
      `${issuer}/token`,
      [subject, clients.get(subject)?.secret ?? ''],
      fields,
      options.tls?.ca,
    );
    const token: unknown = answered.access_token;
    if (typeof token !== 'string') throw new Error(`the provider gave no token: ${JSON.stringify(answered)}`);
    return token;
  };
  const plain = async (wanted: TokenRequest): Promise<string> => {
    register({
      subject: wanted.subject,
      ...(wanted.groups === undefined ? {} : { groups: wanted.groups }),
      ...(wanted.claims === undefined ? {} : { claims: wanted.claims }),
    });
    const registered = clients.get(wanted.subject);
    if (registered !== undefined) registered.lifetimeSeconds = wanted.lifetimeSeconds ?? 300;
    return await ask(wanted.subject, { grant_type: 'client_credentials', resource: wanted.audience ?? audience });
  };
  const exchange = async (subjectToken: string, wanted: TokenRequest, type = accessTokenType): Promise<string> =>
    await ask(wanted.subject, {
      grant_type: exchangeGrant,
      subject_token: subjectToken,
      subject_token_type: accessTokenType,
      actor_token: await plain(wanted),
      actor_token_type: accessTokenType,
      requested_token_type: type,
      resource: wanted.audience ?? audience,
    });
  const delegated = async (wanted: TokenRequest): Promise<string> => {
    const { onBehalfOf: person, through = [], ...actor } = wanted;
    if (person === undefined) return await plain(actor);
    const groups = (of: { groups?: readonly string[] }) => (of.groups === undefined ? {} : { groups: of.groups });
    let token = await plain({ subject: person.sub, ...groups(person) });
    for (const agent of through.toReversed()) token = await exchange(token, { subject: agent.sub, ...groups(agent) });
    return await exchange(token, actor);
  };
  // What a client gets depends on what is registered for it at that moment: one request at a time.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Value>(work: () => Promise<Value>): Promise<Value> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };

  return {
    issuer,
    audience,
    register,
    token: (wanted) => inTurn(() => delegated(wanted)),
    idToken: (subject) => inTurn(async () => await exchange(await plain({ subject }), { subject }, idTokenType)),
    secretOf: (subject) => clients.get(subject)?.secret,
    invite(given) {
      people = given;
      renew();
    },
    async sign(payload, header = {}) {
      const key = keys.find((candidate) => candidate.alg === (header.alg ?? 'RS256')) ?? keys[0] ?? {};
      const protectedHeader = { typ: 'at+jwt', kid: key.kid ?? '', ...header, alg: header.alg ?? 'RS256' };
      return await new SignJWT(payload).setProtectedHeader(protectedHeader).sign(key);
    },
    get keys() {
      return keys;
    },
    async rotateKeys({ keepOld = false } = {}) {
      const fresh = await newKeys();
      keys = keepOld ? [...fresh, ...keys] : fresh;
      renew();
    },
    setOutage(value) {
      down = value;
      if (down) for (const socket of sockets) socket.destroy();
    },
    requests: (pathEnd) => [...seen].reduce((sum, [path, count]) => (path.endsWith(pathEnd) ? sum + count : sum), 0),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** One key for each algorithm that the gateway allows, RS256 first: it is what the provider signs with. */
async function newKeys(): Promise<readonly JWK[]> {
  return await Promise.all(
    ['RS256', 'ES256', 'EdDSA'].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: randomBytes(8).toString('hex') };
    }),
  );
}

/** The provider, and in front of it the page where people say who they are. */
function serve(provider: Provider, { people }: People): (incoming: IncomingMessage, response: ServerResponse) => void {
  const callback = provider.callback();
  return (incoming, response) => {
    answerInteraction(provider, people, incoming, response).then(
      (answered) => {
        if (!answered) callback(incoming, response);
      },
      () => response.writeHead(500).end(),
    );
  };
}

function makeProvider(
  issuer: string,
  keys: readonly JWK[],
  clients: ReadonlyMap<string, Registered>,
  { people, applications }: People,
  audiences: readonly string[] | undefined,
): Provider {
  const exchanged = new WeakMap<KoaContextWithOIDC, UnknownObject>();
  const provider = new Provider(issuer, {
    ...(applications.length > 0 && peopleConfiguration(people)),
    adapter: (model) => {
      if (model === 'Client') return clientAdapter(clients, applications);
      return applications.length > 0 ? memoryAdapter() : forgetful;
    },
    jwks: { keys: [...keys] },
    // Whatever is not said here the provider complains about, on the standard output of whoever started it.
    ttl: {
      ...{ IdToken: 300, DeviceCode: 600, Interaction: 600, Session: 3600, Grant: 3600 },
      AccessToken: (_context, token) => token.resourceServer?.accessTokenTTL ?? 300,
      ClientCredentials: (_context, token) => token.resourceServer?.accessTokenTTL ?? 300,
    },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: applications.length > 0,
        successSource: (context) => {
          context.body = '<!doctype html><html lang="en"><title>Signed in</title><h1>Signed in</h1></html>';
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `${issuer}/default`,
        getResourceServerInfo: (_context, audience, client) => ({
          scope: '',
          audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: clients.get(client.clientId)?.lifetimeSeconds ?? 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims(context, token) {
      const claims = exchanged.get(context);
      if (claims !== undefined) return claims;
      const person = people.find(({ subject }) => 'accountId' in token && token.accountId === subject);
      if (person !== undefined) return { groups: [...person.groups] };
      const client = clients.get(token.clientId ?? '');
      return { groups: client?.groups ?? [], ...client?.claims };
    },
  });
  const parameters = ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type'];
  provider.registerGrantType(
    exchangeGrant,
    async (context) => {
      const { client, params } = context.oidc;
      const subject = await ownToken(issuer, keys, params.subject_token);
      // Without a token that says who acts, it is the client that asks.
      const actor: JWTPayload =
        params.actor_token === undefined ? { sub: client.clientId } : await ownToken(issuer, keys, params.actor_token);
      // RFC 8693 section 4.1: the newest actor is the outermost, the ones before it are nested in it.
      const act = {
        sub: actor.sub,
        ...(actor.groups !== undefined && { groups: actor.groups }),
        ...(subject.act ? { act: subject.act } : {}),
      };
      exchanged.set(context, { groups: subject.groups, act });
      const lifetimeSeconds = clients.get(client.clientId)?.lifetimeSeconds ?? 300;
      const answer = { token_type: 'Bearer', expires_in: lifetimeSeconds };
      if (params.requested_token_type === idTokenType) {
        const token = new provider.IdToken({ sub: subject.sub }, { ctx: context, client });
        Object.assign(token, { scope: 'openid' });
        token.set('sub', subject.sub);
        const value = await token.issue({ use: 'idtoken' });
        context.body = { ...answer, access_token: value, issued_token_type: idTokenType };
        return;
      }
      const audience = String(params.resource ?? params.audience);
      if (audiences?.includes(audience) === false) throw new errors.InvalidTarget('nobody is known by that name');
      const token = new provider.AccessToken({
        client,
        accountId: String(subject.sub),
        grantId: '',
        gty: exchangeGrant,
        expiresIn: lifetimeSeconds,
        resourceServer: new provider.ResourceServer(audience, {
          scope: '',
          audience,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      });
      context.body = { ...answer, access_token: await token.save(), issued_token_type: accessTokenType };
    },
    [...parameters, 'resource', 'audience'],
  );
  return provider;
}

/** The claims of an access token this provider signed. @throws InvalidGrant for any other. */
async function ownToken(issuer: string, keys: readonly JWK[], token: unknown): Promise<JWTPayload> {
  try {
    const set = createLocalJWKSet({ keys: keys.map(publicPart) });
    return (await jwtVerify(String(token), set, { issuer, typ: 'at+jwt' })).payload;
  } catch (cause) {
    throw new errors.InvalidGrant(`not a token of this provider: ${cause}`);
  }
}

function publicPart({ d, p, q, dp, dq, qi, ...rest }: JWK): JWK {
  return rest;
}

function clientAdapter(clients: ReadonlyMap<string, Registered>, applications: People['applications']): Adapter {
  return {
    ...forgetful,
    async find(id) {
      const application = applications.find(({ clientId }) => clientId === id);
      if (application !== undefined) return applicationPayload(application);
      const client = clients.get(id);
      if (client === undefined) return undefined;
      const payload: AdapterPayload = {
        client_id: id,
        client_secret: client.secret,
        grant_types: ['client_credentials', exchangeGrant],
        redirect_uris: [],
        response_types: [],
      };
      return payload;
    },
  };
}

/** Its access tokens are self-contained, so there is nothing to remember. */
const forgetful: Adapter = {
  upsert: async () => undefined,
  find: async () => undefined,
  findByUserCode: async () => undefined,
  findByUid: async () => undefined,
  consume: async () => undefined,
  destroy: async () => undefined,
  revokeByGrantId: async () => undefined,
};

/** One form post with HTTP basic authentication, answered in JSON. `fetch` cannot be told which CA to trust. */
async function post(
  url: string,
  [user, password]: readonly [string, string],
  fields: Record<string, string>,
  ca: string | undefined,
): Promise<UnknownObject> {
  const body = new URLSearchParams(fields).toString();
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
  const text = await new Promise<string>((resolve, reject) => {
    const init = { method: 'POST', headers, agent: false as const };
    const onResponse = (response: IncomingMessage) => {
      let received = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        received += chunk;
      });
      response.on('end', () => resolve(received));
      response.on('error', reject);
    };
    const sent = ca === undefined ? request(url, init, onResponse) : tlsRequest(url, { ...init, ca }, onResponse);
    sent.on('error', reject);
    sent.end(body);
  });
  return JSON.parse(text);
}
