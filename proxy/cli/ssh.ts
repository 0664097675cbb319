import { generateKeyPairSync, hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../core/clock.ts';
import { limits } from '../core/limits.ts';
import type { Certificate } from '../protocols/ssh/certificate.ts';
import { publicKeyOf } from '../protocols/ssh/private-key.ts';
import { type PublicKey, parsePublicKeyLine, publicKeyLine } from '../protocols/ssh/public-key.ts';
import { type Command, type Io, UsageError } from './io.ts';
import { type GatewayAddress, knownKeys, parseGatewayAddress } from './known-hosts.ts';
import { printable } from './printable.ts';
import { alone, prepareDirectory, readCertificateLine, readIdentity, saveCertificate, saveKey } from './ssh-files.ts';
import { type TokenSource, tokenSource } from './ssh-token.ts';

const help = `sallyport ssh login --gateway HOST:PORT [--known-hosts FILE | --host-key 'ssh-ed25519 AAAA...']
                    [--agent NAME] [--profile FILE] [--token-file FILE] [--directory DIR] [--quiet]

Exchanges a token for a certificate that ssh, scp, rsync and git log in with at the gateway, for some minutes.
The token is that of the environment variable SALLYPORT_TOKEN, else of --token-file (- is standard input), else one for
an agent of the profile, as in sallyport token. It never stands on a command line.
DIR (~/.sallyport unless it is said) gets key, key.pub and key-cert.pub. A certificate that holds for another minute is
kept. The gateway must have the host key that is given, or that FILE (DIR/known_hosts unless it is said) has for it.
Agents that run side by side need a DIR each: there is one certificate in it, and ssh uses the one it finds.
--quiet says nothing when all is well. sallyport ssh-config writes what ssh needs to do this by itself.
`;

const options = {
  gateway: { type: 'string' },
  'known-hosts': { type: 'string' },
  'host-key': { type: 'string', multiple: true },
  agent: { type: 'string' },
  profile: { type: 'string' },
  'token-file': { type: 'string' },
  directory: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `sallyport ssh login`: 0 when there is a certificate that holds. */
export const run: Command = async (args, io) => {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  if (values.help === true) {
    io.stdout.write(help);
    return 0;
  }
  const gateway = parseGatewayAddress(values.gateway ?? '');
  if (positionals.join(' ') !== 'login' || gateway === undefined) throw new UsageError(help);
  const directory = values.directory ?? join(io.env.HOME ?? homedir(), '.sallyport');
  const { agent, profile, 'token-file': tokenFile } = values;
  const source = await tokenSource(
    {
      ...(agent === undefined ? {} : { agent }),
      ...(profile === undefined ? {} : { profile }),
      ...(tokenFile === undefined ? {} : { tokenFile }),
    },
    io,
  );
  const hostKeys = values['host-key'];
  if (hostKeys !== undefined && values['known-hosts'] !== undefined) throw new UsageError(help);
  const pinned = hostKeys
    ? hostKeys.map(hostKey)
    : await pinnedIn(values['known-hosts'] ?? join(directory, 'known_hosts'), gateway);

  await prepareDirectory(directory);
  const request: LoginRequest = { gateway, pinned, source, directory };
  // Looked at before there is a lock, so that the usual case costs nothing but reading three files.
  const held = (await heldCertificate(request)) ?? (await alone(directory, () => login(request)));
  if (values.quiet !== true) report(held, io);
  return 0;
};

/** What a login needs to know. */
interface LoginRequest {
  readonly gateway: GatewayAddress;
  readonly pinned: readonly PublicKey[];
  readonly source: TokenSource;
  readonly directory: string;
}

/** A certificate in the directory, and whether it was there before. */
interface Held {
  readonly certificate: Certificate;
  readonly kept: boolean;
}

/** The certificate that is there, if it came from the same gateway for the same agent and holds long enough. */
async function heldCertificate(request: LoginRequest): Promise<Held | undefined> {
  const saved = await readIdentity(request.directory);
  if (saved?.certificate?.purpose !== purposeOf(request)) return undefined;
  return leftMs(saved.certificate) > limits.sshCertificateRenewalMs
    ? { certificate: saved.certificate, kept: true }
    : undefined;
}

async function login(request: LoginRequest): Promise<Held> {
  const held = await heldCertificate(request); // another login may have been faster
  if (held !== undefined) return held;
  const { gateway, pinned, source, directory } = request;
  const purpose = purposeOf(request);
  const saved = await readIdentity(directory);
  // A token buys certificates for one key only; and a key is not replaced while there is a certificate for it that holds.
  const bound = source.fixed && saved?.purpose === purpose;
  const inUse = saved?.certificate !== undefined && leftMs(saved.certificate) > 0;
  const key = saved !== undefined && (bound || inUse) ? saved.key : generateKeyPairSync('ed25519').privateKey;

  const { type, blob } = publicKeyOf(key);
  const token = await source.get();
  await saveKey(directory, key, purpose);
  const { exchange } = await import('./ssh-exchange.ts'); // only now: ssh waits for a login each time it starts
  const line = await exchange({ gateway, pinned, token, publicKeyLine: publicKeyLine(type, blob) });
  const certificate = readCertificateLine(line);
  if (certificate?.type !== 'user' || !certificate.publicKey.blob.equals(blob) || leftMs(certificate) <= 0) {
    throw new Error('the gateway answered with something else than a certificate for this key');
  }
  await saveCertificate(directory, line, purpose);
  return { certificate, kept: false };
}

function leftMs({ validBefore }: Certificate): number {
  return Number(validBefore) * 1000 - systemClock.nowMs();
}

/** Names a gateway and a source of tokens: what is there for one of them is nothing to another. */
function purposeOf({ gateway, source }: LoginRequest): string {
  return hash('sha256', JSON.stringify([gateway.host, gateway.port, source.name]), 'base64url');
}

function report({ certificate, kept }: Held, io: Io): void {
  const minutes = Math.floor(leftMs(certificate) / 60_000);
  const what = `a certificate for ${printable(certificate.keyId)}, for ${minutes} more minutes`;
  io.stdout.write(`${kept ? 'there still is' : 'there now is'} ${what}: ${certificate.principals.join(', ')}\n`);
}

function hostKey(line: string): PublicKey {
  const key = parsePublicKeyLine(line);
  if (key === undefined) throw new UsageError(`--host-key must be a public key, 'ssh-ed25519 AAAA...'`);
  return key;
}

async function pinnedIn(file: string, gateway: GatewayAddress): Promise<readonly PublicKey[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`${file}, which should pin the gateway’s host key, cannot be read`, { cause });
  });
  const keys = knownKeys(text, gateway);
  if (keys.length === 0) throw new Error(`${file} has no host key for this gateway`);
  return keys;
}
