/**
 * What an OIDC provider needs for people: accounts, the authorization code flow with PKCE, and device authorization. Nobody
 * types a password: its page asks who one is and believes it. Uses no test framework.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Adapter, AdapterPayload, Configuration, Provider } from 'oidc-provider';

/** A person, and their groups. */
export interface Person {
  readonly subject: string;
  readonly groups: readonly string[];
}

/** A program that people sign in to. */
export interface Application {
  readonly clientId: string;
  /** Undefined: a public client. */
  readonly secret?: string;
  readonly redirectUris?: readonly string[];
}

/** People and what they sign in to. */
export interface People {
  readonly people: readonly Person[];
  readonly applications: readonly Application[];
}

/** The metadata of an application, as the provider wants it. */
export function applicationPayload({ clientId, secret, redirectUris = [] }: Application): AdapterPayload {
  const device = 'urn:ietf:params:oauth:grant-type:device_code';
  return {
    client_id: clientId,
    ...(secret === undefined ? { token_endpoint_auth_method: 'none' } : { client_secret: secret }),
    grant_types: redirectUris.length > 0 ? ['authorization_code'] : [device],
    redirect_uris: [...redirectUris],
    response_types: redirectUris.length > 0 ? ['code'] : [],
    application_type: 'native',
  };
}

/** What the provider is configured with for people: groups are in ID tokens. */
export function peopleConfiguration(people: readonly Person[]): Configuration {
  const groupsOf = (subject: string) => people.find((person) => person.subject === subject)?.groups ?? [];
  return {
    claims: { openid: ['sub', 'groups'] },
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, groups: [...groupsOf(id)] }) }),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
  };
}

/** Something that remembers, for what a flow leaves between its steps. */
export function memoryAdapter(): Adapter {
  const stored = new Map<string, AdapterPayload>();
  const by = (test: (payload: AdapterPayload) => boolean) => Promise.resolve([...stored.values()].find(test));
  return {
    upsert: async (id, payload) => void stored.set(id, payload),
    find: async (id) => stored.get(id),
    findByUserCode: (code) => by(({ userCode }) => userCode === code),
    findByUid: (uid) => by((payload) => payload.uid === uid),
    consume: async (id) => {
      const payload = stored.get(id);
      if (payload !== undefined) stored.set(id, { ...payload, consumed: Math.floor(Date.now() / 1000) });
    },
    destroy: async (id) => void stored.delete(id),
    revokeByGrantId: async (grantId) => {
      for (const [id, payload] of stored) if (payload.grantId === grantId) stored.delete(id);
    },
  };
}

/**
 * Answers the page where one says who one is (`GET /interaction/{uid}`), and what it sends (`POST`, `?subject=`): signs that
 * person in and consents to whatever was asked. @returns false for any other request.
 */
export async function answerInteraction(
  provider: Provider,
  people: readonly Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const url = new URL(request.url ?? '/', 'http://provider');
  if (!url.pathname.startsWith('/interaction/')) return false;
  if (request.method === 'GET') {
    const buttons = people.map(
      ({ subject }) =>
        `<form method="post" action="?subject=${encodeURIComponent(subject)}"><button>${subject}</button></form>`,
    );
    response.setHeader('content-type', 'text/html');
    response.end(
      `<!doctype html><html lang="en"><title>Who are you?</title><h1>Who are you?</h1>${buttons.join('')}</html>`,
    );
    return true;
  }
  const subject = url.searchParams.get('subject') ?? '';
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: subject, clientId: String(params.client_id) });
  grant.addOIDCScope(String(params.scope ?? 'openid'));
  const resource = params.resource;
  if (typeof resource === 'string') grant.addResourceScope(resource, '');
  const result = { login: { accountId: subject }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  return true;
}

/** Does what a person does at the address that device authorization gave them: confirms the code, and says who they are. */
export async function confirmDevice(address: string, subject: string): Promise<void> {
  const cookies = new Map<string, string>();
  let url = new URL(address);
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 20; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answered = await fetch(url, {
      method: form === undefined ? 'GET' : 'POST',
      headers: { cookie },
      redirect: 'manual',
      ...(form && { body: form }),
    });
    for (const line of answered.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const text = await answered.text();
    const location = answered.headers.get('location');
    form = undefined;
    if (location !== null) {
      url = new URL(location, url);
    } else if (url.pathname.startsWith('/interaction/')) {
      url.searchParams.set('subject', subject);
      form = new URLSearchParams();
    } else if (text.includes('<form')) {
      const inputs = [...text.matchAll(/<input[^>]*name="(\w+)"[^>]*value="([^"]*)"/g)];
      form = new URLSearchParams(inputs.map(([, name = '', value = '']): [string, string] => [name, value]));
      form.set('confirm', 'yes');
      const [, action] = /<form[^>]*action="([^"]*)"/.exec(text) ?? [];
      if (action !== undefined) url = new URL(action, url);
    } else return;
  }
  throw new Error('the provider asks for ever');
}
