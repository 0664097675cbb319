import type { Fault } from '../../core/types.ts';

/** How the gateway logs in at a host. A credential that never leaves the gateway. */
export type SshLogin =
  | { readonly user: string; readonly key: string; readonly certificate: string | undefined }
  | { readonly user: string; readonly password: string };

/** An SSH host the gateway holds credentials for. */
export interface SshUpstream {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Its public keys, and those of authorities that certify them, as lines; not both are empty. */
  readonly hostKeys: readonly string[];
  readonly hostAuthorities: readonly string[];
  /** The search path that commands run with. */
  readonly commandPath: string;
  /** The name a client gives → how the gateway logs in. */
  readonly logins: ReadonlyMap<string, SshLogin>;
}

/** Where a user name leads. */
export interface SshTarget {
  readonly upstream: SshUpstream;
  /** The name of the login, as the client asked for it. */
  readonly login: string;
  readonly credentials: SshLogin;
}

/** The user name that logs in nowhere: it exchanges a token for a certificate. */
export const exchangeUser = 'sallyport-login';

/** What a user name asks for: `login+upstream`, or only `login` inside a tunnel, which leads to one upstream. */
export function requestedTarget(user: string, tunnel: string | undefined): { login: string; upstream: string } {
  const plus = user.indexOf('+');
  if (plus < 0) return { login: user, upstream: tunnel ?? '' };
  return { login: user.slice(0, plus), upstream: user.slice(plus + 1) };
}

/** The upstream and login behind a user name. The fault does not tell which part was unknown. */
export function findTarget(
  upstreams: readonly SshUpstream[],
  user: string,
  tunnel: string | undefined,
): SshTarget | { readonly fault: Fault } {
  const { login, upstream: name } = requestedTarget(user, tunnel);
  const upstream = upstreams.find((one) => one.name === name && (tunnel === undefined || tunnel === name));
  const credentials = upstream?.logins.get(login);
  if (upstream === undefined || credentials === undefined) {
    return { fault: { code: 'upstream_unknown', message: 'There is no such upstream or login here.' } };
  }
  return { upstream, login, credentials };
}
