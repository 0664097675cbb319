/**
 * Why this Node must not run a gateway, or `undefined` when it may. Below 24.18.1 and 26.5.1 the HTTP parser
 * hides `Authorization` and `Transfer-Encoding` after about a thousand headers (CVE-2026-58044); releases of
 * other majors are past their end of life.
 * @param version - as in `process.versions.node`.
 */
export function runtimeFault(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const since = (m: number, p: number) => minor > m || (minor === m && patch >= p);
  if (major > 26 || (major === 26 && since(5, 1)) || (major === 24 && since(18, 1))) return undefined;
  return `Node ${version} hides headers of requests from the gateway (CVE-2026-58044); 24.18.1 or 26.5.1 is the oldest that may run it.`;
}
