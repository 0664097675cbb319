import type { KeyObject } from 'node:crypto';
import type { Limits } from '../../core/limits.ts';
import { parsePrivateKey, publicKeyOf } from './private-key.ts';
import { createSshServer, type SshServer } from './server.ts';

/** What is made of a listener's private keys. */
export interface ListenerKeys {
  readonly server: SshServer;
  /** Signs certificates of agents. */
  readonly authority: KeyObject;
  /** Its public key, as SSH writes it. */
  readonly authorityKey: Buffer;
}

/** Reads the keys, once for each object that holds them. What is returned throws when one of them cannot be used. */
export function readListenerKeys({
  keys,
  limits,
}: {
  readonly keys: () => { readonly hostKeys: readonly string[]; readonly certificateAuthority: string };
  readonly limits: Limits;
}): () => ListenerKeys {
  const read = new WeakMap<object, ListenerKeys>();
  return () => {
    const source = keys();
    const known = read.get(source);
    if (known !== undefined) return known;
    const authority = parsePrivateKey(source.certificateAuthority);
    if (authority?.asymmetricKeyType !== 'ed25519') {
      throw new Error('the certificate authority of an SSH listener must be an Ed25519 private key');
    }
    const fresh: ListenerKeys = {
      server: createSshServer({ hostKeys: source.hostKeys, limits }),
      authority,
      authorityKey: publicKeyOf(authority).blob,
    };
    read.set(source, fresh);
    return fresh;
  };
}
