/**
 * How an agent gets its certificate: it logs in as `sallyport-login` with its token as the password, opens the subsystem
 * {@link certificateSubsystem}, writes its public key as one line and reads the certificate as one line. The token
 * travels once for many connections, inside the encryption of a host whose key the client has pinned.
 */
import type { KeyObject } from 'node:crypto';
import type { Clock } from '../../core/ports.ts';
import type { Fault, Identity } from '../../core/types.ts';
import { certificateTypeName } from './certificate.ts';
import { certifyIdentity, label } from './identity-certificate.ts';
import type { IssuedKeys } from './issued-keys.ts';
import { fingerprint, parsePublicKeyLine, publicKeyLine } from './public-key.ts';

/** The subsystem that exchanges a public key for a certificate. */
export const certificateSubsystem = 'certificate@sallyport';

/** One exchange, after the token was verified. */
export interface IssueRequest {
  readonly identity: Identity;
  /** The token that authenticated the identity. */
  readonly token: string;
  /** What the client wrote, without its line feed. */
  readonly publicKeyLine: string;
  /** The gateway's authority: an Ed25519 private key. */
  readonly authority: KeyObject;
  /** Names of the upstreams of the listener. */
  readonly principals: readonly string[];
  readonly lifetimeSeconds: number;
  readonly issued: IssuedKeys;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
}

/**
 * Exchanges a verified token and a public key for a certificate.
 *
 * @returns the certificate as one line without line feed, the fingerprint of its key and when it ends, or why there is none.
 */
export function issueCertificate(
  request: IssueRequest,
): { readonly line: string; readonly key: string; readonly expiresAtMs: number } | { readonly fault: Fault } {
  const { identity, token, issued, clock } = request;
  const publicKey = parsePublicKeyLine(request.publicKeyLine);
  if (publicKey?.type !== 'ssh-ed25519') {
    return { fault: { code: 'operation_malformed', message: 'One Ed25519 public key is wanted, as a line of text.' } };
  }
  const certified = certifyIdentity({ ...request, publicKey, nowMs: clock.nowMs() });
  if ('fault' in certified) return certified;
  const fault = issued.bind(token, publicKey.blob, identity.expiresAtMs);
  if (fault !== undefined) return { fault };
  return {
    line: publicKeyLine(certificateTypeName(publicKey.type), certified.blob, label(identity)),
    key: fingerprint(publicKey.blob),
    expiresAtMs: certified.expiresAtMs,
  };
}
