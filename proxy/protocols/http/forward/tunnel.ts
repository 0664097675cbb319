/** The facts of a tunnel that a client asks for, and how an allow is carried out. Pure. */
import type { Masker } from '../../../core/masker.ts';
import type { OperationFacts } from '../../../core/types.ts';
import { type OperationPlan, planOf } from '../plan.ts';
import type { Destination } from './dial.ts';

/** What can be done to a tunnel; anything else that policy demands is a refusal. */
export const tunnelSupports = { masks: [], obligations: ['max_bytes', 'timeout_ms'] } as const;

/**
 * The facts of `CONNECT host:port`.
 *
 * @param upstream - the upstream of the gateway that it leads to; empty for anything else
 */
export function tunnelFacts(
  { host, port }: Destination,
  upstream: string,
  masker: Masker,
): OperationFacts<OperationPlan> {
  return {
    action: {
      name: 'connect_tunnel',
      properties: { protocol: 'http', destinations: [{ host, port, upstream }], incomplete: [] },
    },
    resource: { type: 'destination', id: authorityText({ host, port }), properties: {} },
    complete: true,
    enforce: (decision) => planOf(decision, masker, false),
    describe: () => ({ destination: { host, port, upstream } }),
  };
}

/** `host:port`, an IPv6 address in brackets. */
export function authorityText({ host, port }: Destination): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
