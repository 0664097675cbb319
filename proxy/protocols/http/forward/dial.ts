/** Connections to destinations that are no upstreams of the gateway: by address, once the name has been looked up here. */
import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { GatewayError } from '../../../core/errors.ts';

/** Addresses of no host, of many, or of whoever is on the same wire: a cloud keeps its credentials there. */
const never = new BlockList();
never.addSubnet('0.0.0.0', 8, 'ipv4');
never.addSubnet('169.254.0.0', 16, 'ipv4');
never.addSubnet('224.0.0.0', 3, 'ipv4');
never.addAddress('100.100.100.200', 'ipv4');
never.addAddress('::', 'ipv6');
never.addSubnet('fe80::', 10, 'ipv6');
never.addSubnet('ff00::', 8, 'ipv6');
never.addAddress('fd00:ec2::254', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Where to. */
export interface Destination {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** How an address is looked at. */
export interface DialOptions {
  readonly timeoutMs: number;
  /** An upstream of the gateway, which is reached by its own adapter only, whatever else its address is called. */
  readonly isUpstream: (address: string, port: number) => boolean;
  readonly signal: AbortSignal;
  /** For tests; the operating system's otherwise. */
  readonly resolve?: ((host: string) => Promise<readonly LookupAddress[]>) | undefined;
}

/**
 * Whether an address may be connected to under a name that policy let pass. A name that leads to loopback is one that
 * somebody pointed at this machine; asked for as an address, it is what policy saw.
 */
export function mayReach(address: string, asked: string): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(address) === 0 || never.check(address, family)) return false;
  return asked === 'localhost' || isIP(asked) !== 0 || !loopback.check(address, family);
}

/**
 * Connects. The address is looked up once, looked at, and connected to: nobody looks the name up a second time.
 * @throws GatewayError `upstream_unavailable`
 */
export async function dial({ host, port }: Destination, options: DialOptions): Promise<Socket> {
  const { timeoutMs, signal, isUpstream, resolve = addressesOf } = options;
  const addresses = isIP(host) === 0 ? await resolve(host).catch(unavailable) : [{ address: host, family: isIP(host) }];
  const usable = addresses.filter(({ address }) => mayReach(address, host) && !isUpstream(address, port));
  if (usable.length === 0) return unavailable();
  const found: LookupFunction = (_name, { all }, done) => {
    const [first] = usable;
    if (all || first === undefined) done(null, [...usable]);
    else done(null, first.address, first.family);
  };
  const socket = connect({
    host,
    port,
    lookup: found,
    noDelay: true,
    allowHalfOpen: true,
    signal,
    autoSelectFamily: true,
  });
  return await new Promise<Socket>((connected, failed) => {
    const timer = setTimeout(() => socket.destroy(new Error('it took too long')), timeoutMs);
    socket.once('error', failed);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      connected(socket);
    });
  }).catch(unavailable);
}

function addressesOf(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
  });
}

function unavailable(cause?: unknown): never {
  throw new GatewayError('upstream_unavailable', 'The destination cannot be reached.', { cause });
}
