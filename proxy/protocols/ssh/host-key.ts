/**
 * Whether a host is the one that is configured: its key is pinned, or an authority certifies it for the host's name.
 * There is no trust on first use.
 */
import type { Clock } from '../../core/ports.ts';
import { parseCertificate, verifyCertificate } from './certificate.ts';
import { certificateSuffix, type KeyType, parsePublicKeyLine } from './public-key.ts';

/** What is configured about a host's identity. */
export interface HostIdentity {
  /** Its name as configured: what a certificate must be for, letter by letter. */
  readonly host: string;
  /** Lines of keys: `ssh-ed25519 AAAA…`. Not both are empty. */
  readonly hostKeys: readonly string[];
  readonly hostAuthorities: readonly string[];
}

/** Judges what a host shows. Possession of the key is the key exchange's to prove. */
export interface HostKeyCheck {
  /** What to ask the host for, so that it shows what can be judged. */
  readonly algorithms: readonly string[];
  /** @returns undefined for the host that is configured, or a sentence that says why it is not. */
  refuse(shown: Buffer): string | undefined;
}

/** The algorithms a key of each type signs a key exchange with. */
const signatures: Readonly<Record<KeyType, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** Reads what is configured. @throws Error when a line is not a public key that is accepted, or there is none at all */
export function hostKeyCheck({ host, hostKeys, hostAuthorities }: HostIdentity, clock: Clock): HostKeyCheck {
  const pinned = hostKeys.map((line) => readLine(line, 'host key'));
  const authorities = hostAuthorities.map((line) => readLine(line, 'host authority').blob);
  if (pinned.length + authorities.length === 0) throw new Error('a host needs a key or an authority to be known by');
  const certified = authorities.length === 0 ? [] : Object.values(signatures).flat();
  return {
    algorithms: [
      ...certified.map((name) => `${name}${certificateSuffix}`),
      ...new Set(pinned.flatMap(({ type }) => signatures[type])),
    ],
    refuse(shown) {
      const isPinned = (blob: Buffer) => pinned.some((key) => key.blob.equals(blob));
      if (isPinned(shown)) return undefined;
      const read = parseCertificate(shown);
      if ('fault' in read) return 'The host’s key is not the one that is configured.';
      const { certificate } = read;
      if (isPinned(certificate.publicKey.blob)) return undefined;
      const result = verifyCertificate(certificate, {
        type: 'host',
        authorities,
        principal: host,
        knownCriticalOptions: [],
        nowMs: clock.nowMs(),
      });
      return 'fault' in result ? `The host’s certificate does not hold. ${result.fault.message}` : undefined;
    },
  };
}

function readLine(line: string, what: string) {
  const key = parsePublicKeyLine(line);
  if (key === undefined) throw new Error(`a ${what} is not a public key that is accepted`);
  return key;
}
