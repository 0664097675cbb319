import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { Connection, Gateway, SessionHandle } from '../../../proxy/core/ports.ts';
import { Tunnels } from '../../../proxy/core/tunnels.ts';
import type { Identity, SessionInit } from '../../../proxy/core/types.ts';

const identity: Identity = {
  ...{ type: 'agent', issuer: 'https://idp', id: 'bot', groups: [], claims: {}, chain: [] },
  expiresAtMs: Number.POSITIVE_INFINITY,
};
const init: SessionInit = {
  ...{ protocol: 'postgres', upstream: 'orders', identity, clientAddress: '', application: '', requested: {} },
  supports: { masks: [], obligations: [] },
};

/** An adapter that does with each connection what it is told. */
function adapter(serve: (connection: Connection, gateway: Gateway) => Promise<void>) {
  return { protocol: 'postgres', supports: { masks: [], obligations: [] }, serve, close: async () => {} };
}

/** The parts of a session and a gateway that a tunnel has to do with. */
function outer() {
  const abort = new AbortController();
  const opened: SessionInit[] = [];
  const session = { signal: abort.signal, identity } as SessionHandle;
  const gateway = {
    open: async (asked: SessionInit) => {
      opened.push(asked);
      return { session };
    },
  } as unknown as Gateway;
  return { abort, opened, session, gateway };
}

const tunnel = () => ({ socket: new PassThrough(), clientAddress: '10.0.0.7' });

test('an upstream is found by its name at any port, and by its address', () => {
  const tunnels = new Tunnels({ tunnelsMax: 1 });
  tunnels.add('orders', { host: 'DB.internal', port: 5432, adapter: adapter(async () => {}) });
  expect(tunnels.find('orders', 1)).toBe('orders');
  expect(tunnels.find('db.INTERNAL', 5432)).toBe('orders');
  expect(tunnels.find('db.internal', 22)).toBeUndefined();
  expect(tunnels.find('elsewhere', 5432)).toBeUndefined();
});

test('what is inside is served by the upstream’s own adapter, which is told where it leads', async () => {
  const tunnels = new Tunnels({ tunnelsMax: 1 });
  let served: Connection | undefined;
  tunnels.add('orders', {
    ...{ host: 'db', port: 5432 },
    adapter: adapter(async (one) => {
      served = one;
    }),
  });
  const { session, gateway } = outer();
  const one = tunnel();
  await tunnels.serve(one, 'orders', { session, gateway });
  expect(served).toMatchObject({ upstream: 'orders', clientAddress: '10.0.0.7' });
  expect(one.socket.destroyed).toBe(true);
});

test('only the subject of the tunnel gets a session inside, and the gateway itself', async () => {
  const tunnels = new Tunnels({ tunnelsMax: 1 });
  const answers: string[] = [];
  const others: Identity[] = [
    identity,
    { ...identity, id: 'other' },
    { ...identity, issuer: 'https://other' },
    { ...identity, type: 'gateway', issuer: 'sallyport', id: 'sallyport' },
  ];
  tunnels.add('orders', {
    ...{ host: 'db', port: 5432 },
    adapter: adapter(async (_connection, gateway) => {
      for (const who of others) {
        const answer = await gateway.open({ ...init, identity: who }).catch((error: Error) => error.message);
        answers.push(typeof answer === 'string' ? 'refused' : 'opened');
      }
    }),
  });
  const { session, gateway, opened } = outer();
  await tunnels.serve(tunnel(), 'orders', { session, gateway });
  expect(answers).toEqual(['opened', 'refused', 'refused', 'opened']);
  expect(opened).toHaveLength(2);
});

test('a tunnel ends with the session it is part of', async () => {
  const tunnels = new Tunnels({ tunnelsMax: 1 });
  const { session, gateway, abort } = outer();
  const one = tunnel();
  tunnels.add('orders', {
    ...{ host: 'db', port: 5432 },
    adapter: adapter(({ socket }) => new Promise((resolve) => socket.once('close', resolve))),
  });
  const served = tunnels.serve(one, 'orders', { session, gateway });
  abort.abort();
  await served;
  expect(one.socket.destroyed).toBe(true);
  const late = tunnel();
  await tunnels.serve(late, 'orders', { session, gateway });
  expect(late.socket.destroyed).toBe(true);
});

test('no more than the bound are served at once', async () => {
  const tunnels = new Tunnels({ tunnelsMax: 1 });
  let release = () => {};
  let served = 0;
  tunnels.add('orders', {
    ...{ host: 'db', port: 5432 },
    adapter: adapter(() => {
      served++;
      return new Promise((resolve) => {
        release = resolve;
      });
    }),
  });
  const { session, gateway } = outer();
  const first = tunnels.serve(tunnel(), 'orders', { session, gateway });
  await tunnels.serve(tunnel(), 'orders', { session, gateway });
  expect(served).toBe(1);
  release();
  await first;
  const third = tunnels.serve(tunnel(), 'orders', { session, gateway });
  expect(served).toBe(2);
  release();
  await third;
});
