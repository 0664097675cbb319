/** What the configuration says about approvals: where they are kept, and who is told. */
import { join } from 'node:path';
import type { ConfigDocument } from './document.ts';
import type { Readers } from './listeners.ts';
import type { RawConfig } from './raw.ts';
import type { NotifyConfig, StoreConfig } from './types.ts';

/** Where approvals are: beside the recordings, unless it says otherwise: what is lost with one is lost with the other. */
export function readStore(
  document: ConfigDocument,
  { store = {}, record }: RawConfig,
  { path, secret }: Readers,
): StoreConfig {
  const { url, password, ca } = store;
  if (url === undefined) {
    for (const key of ['password', 'ca'] as const) {
      if (store[key] !== undefined) document.add(['store', key], 'belongs to a url');
    }
    return { kind: 'embedded', path: path(store.path ?? join(record.directory, '..', 'sallyport.db')) };
  }
  if (store.path !== undefined) document.add(['store', 'path'], 'is not for a store with a url');
  if (!URL.canParse(url)) document.add(['store', 'url'], 'must be a URL');
  else if (new URL(url).password !== '')
    document.add(['store', 'url'], 'must not hold the password: give store.password');
  return {
    kind: 'postgres',
    url,
    password: password === undefined ? undefined : secret(password),
    ca: ca === undefined ? undefined : path(ca),
  };
}

/** Who is told. A name that is given twice, and a URL in clear that nobody asked for, are errors. */
export function readNotify(document: ConfigDocument, { notify = {} }: RawConfig, { secret }: Readers): NotifyConfig {
  const names = new Set(['slack']);
  const webhooks = (notify.webhooks ?? []).map(({ name, url, secret: key, allow_insecure_http }, index) => {
    const at = ['notify', 'webhooks', index];
    if (names.has(name)) document.add([...at, 'name'], 'is the name of another channel');
    names.add(name);
    if (url.startsWith('http:') && allow_insecure_http !== true) {
      document.add([...at, 'url'], 'must be https (or say allow_insecure_http, for tests)');
    }
    return { name, url, secret: secret(key) };
  });
  const { slack } = notify;
  if (slack === undefined) return { webhooks, slack: undefined };
  const users = new Map(slack.users.map(({ slack: user, ...person }) => [user, person] as const));
  if (users.size < slack.users.length) document.add(['notify', 'slack', 'users'], 'names somebody of Slack twice');
  return {
    webhooks,
    slack: {
      url: slack.url ?? 'https://slack.com/api',
      token: secret(slack.token),
      channel: slack.channel,
      signingSecret: secret(slack.signing_secret),
      users,
    },
  };
}
