/** Cookies of the console. Over https their names bind them to this origin (RFC 6265bis, `__Host-`). */
export interface CookieNames {
  readonly secure: boolean;
  readonly session: string;
  readonly signIn: string;
}

/** The names, for a console at an origin of this scheme. */
export function cookieNames(secure: boolean): CookieNames {
  const prefix = secure ? '__Host-' : '';
  return { secure, session: `${prefix}sallyport`, signIn: `${prefix}sallyport-sign-in` };
}

/** The value of the one cookie of a name; undefined when there is none, or more than one: then one is not ours. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`));
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined;
}

/**
 * A `Set-Cookie` that no script reads.
 * @param maxAgeMs - 0 deletes it.
 */
export function cookie(
  name: string,
  value: string,
  {
    secure,
    sameSite,
    maxAgeMs,
  }: { readonly secure: boolean; readonly sameSite: 'Strict' | 'Lax'; readonly maxAgeMs: number },
): string {
  const maxAge = Math.floor(maxAgeMs / 1000);
  return `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=${sameSite}${secure ? '; Secure' : ''}`;
}
