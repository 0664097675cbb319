import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { type Oidc, startOidc } from '../../support/oidc.ts';
import { anotherOidc, closeIdentities, goodClaims, identityFor, without } from './fixture.ts';

let oidc: Oidc;
beforeAll(async () => {
  oidc = await startOidc();
});
afterEach(closeIdentities);
afterAll(() => oidc.stop());

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

describe('an access token from the provider', () => {
  test('names the agent, its groups and the claims policy may see', async () => {
    const { accept } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot', groups: ['support', 'eu'], claims: { tenant: { id: 7 } } });
    const identity = await accept(token);
    expect(identity).toMatchObject({ type: 'agent', issuer: oidc.issuer, id: 'triage-bot', groups: ['support', 'eu'] });
    expect(identity.claims).toEqual({ tenant: { id: 7 }, client_id: 'triage-bot', aud: oidc.audience });
    expect(identity.chain).toEqual([]);
  });

  test('shows policy nothing that changes when it is refreshed', async () => {
    const { accept } = await identityFor(oidc);
    const first = await accept(await oidc.token({ subject: 'triage-bot', lifetimeSeconds: 100 }));
    const second = await accept(await oidc.token({ subject: 'triage-bot', lifetimeSeconds: 200 }));
    expect(second.claims).toEqual(first.claims);
  });

  test.each(['RS256', 'ES256', 'EdDSA'])('may be signed with %s', async (alg) => {
    const { accept } = await identityFor(oidc);
    expect((await accept(await oidc.sign(goodClaims(oidc), { alg }))).id).toBe('triage-bot');
  });

  test('ends when it says, plus the skew', async () => {
    const { accept } = await identityFor(oidc, { clockSkewSeconds: 7 });
    const claims = goodClaims(oidc);
    expect((await accept(await oidc.sign(claims))).expiresAtMs).toBe((Number(claims.exp) + 7) * 1000);
  });

  test('may name its groups in another claim', async () => {
    const { accept } = await identityFor(oidc, { groupsClaim: 'https://example.com/roles' });
    const identity = await accept(await oidc.sign({ ...goodClaims(oidc), 'https://example.com/roles': ['dba'] }));
    expect(identity.groups).toEqual(['dba']);
    expect(identity.claims.groups).toEqual(['support']);
  });

  test('without groups is of somebody without groups', async () => {
    const { accept } = await identityFor(oidc);
    expect((await accept(await oidc.sign(without(oidc, 'groups')))).groups).toEqual([]);
  });

  test('from a listed client is accepted by azp and by client_id', async () => {
    const { accept } = await identityFor(oidc, { authorizedParties: ['triage-bot'] });
    await expect(accept(await oidc.sign({ ...goodClaims(oidc), azp: 'triage-bot' }))).resolves.toBeDefined();
    await expect(accept(await oidc.sign({ ...without(oidc, 'client_id'), azp: 'triage-bot' }))).resolves.toBeDefined();
  });

  test('without the at+jwt mark is accepted where the issuer does not mark its tokens', async () => {
    const { accept } = await identityFor(oidc, { typ: 'any' });
    await expect(accept(await oidc.sign(goodClaims(oidc), { typ: 'JWT' }))).resolves.toBeDefined();
    await expect(
      accept(await oidc.sign({ ...goodClaims(oidc), typ: 'Bearer' }, { typ: 'JWT' })),
    ).resolves.toBeDefined();
  });

  test('is told apart by issuer when two issuers have a subject of the same name', async () => {
    const other = await anotherOidc();
    const { accept } = await identityFor([oidc, other]);
    const here = await accept(await oidc.token({ subject: 'triage-bot' }));
    const there = await accept(await other.token({ subject: 'triage-bot' }));
    expect([here.id, there.id]).toEqual(['triage-bot', 'triage-bot']);
    expect([here.issuer, there.issuer]).toEqual([oidc.issuer, other.issuer]);
  });
});

describe('a delegated token', () => {
  test('makes the actor the subject and the person the one it acts for', async () => {
    const { accept } = await identityFor(oidc);
    const identity = await accept(
      await oidc.token({ subject: 'triage-bot', groups: ['support'], onBehalfOf: { sub: 'ana', groups: ['data'] } }),
    );
    expect(identity).toMatchObject({ id: 'triage-bot', groups: ['support'] });
    expect(identity.chain).toEqual([{ issuer: oidc.issuer, id: 'ana', groups: ['data'] }]);
  });

  test('keeps the order of the agents it went through', async () => {
    const { accept } = await identityFor(oidc);
    const identity = await accept(
      await oidc.token({
        subject: 'worker',
        onBehalfOf: { sub: 'ana' },
        through: [{ sub: 'planner' }, { sub: 'dispatcher' }],
      }),
    );
    expect(identity.id).toBe('worker');
    expect(identity.chain.map(({ id }) => id)).toEqual(['ana', 'planner', 'dispatcher']);
  });

  test('may say that the actor is of the same issuer', async () => {
    const { accept } = await identityFor(oidc);
    const token = await oidc.sign({ ...goodClaims(oidc), sub: 'ana', act: { sub: 'triage-bot', iss: oidc.issuer } });
    expect((await accept(token)).id).toBe('triage-bot');
  });
});

describe('time', () => {
  test.each([
    ['expired within the skew', { exp: -10, iat: -100 }, undefined],
    ['expired past the skew', { exp: -31, iat: -100 }, 'credential_expired'],
    ['valid from a moment within the skew', { nbf: 25 }, undefined],
    ['valid from a moment past the skew', { nbf: 59 }, 'credential_invalid'],
    ['issued within the skew from now', { iat: 25 }, undefined],
    ['issued in the future', { iat: 59 }, 'credential_invalid'],
    ['living as long as allowed', { iat: -10, exp: 590 }, undefined],
    ['living longer than allowed', { iat: -10, exp: 591 }, 'credential_invalid'],
  ])('a token %s', async (_what, offsets: { exp?: number; iat?: number; nbf?: number }, code) => {
    const { identity } = await identityFor(oidc, { clockSkewSeconds: 30, tokenLifetimeSeconds: 600 });
    const now = nowSeconds();
    const times = Object.fromEntries(Object.entries(offsets).map(([claim, seconds]) => [claim, now + seconds]));
    const outcome = identity.authenticate({
      kind: 'bearer',
      secret: await oidc.sign({ ...goodClaims(oidc, now), ...times }),
    });
    if (code === undefined) await expect(outcome).resolves.toMatchObject({ id: 'triage-bot' });
    else await expect(outcome).rejects.toMatchObject({ code });
  });
});

describe('the cache', () => {
  test('gives the same identity for the same token', async () => {
    const { accept } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot' });
    expect(await accept(token)).toBe(await accept(token));
  });

  test('does not outlive the token', async () => {
    const { accept, refuse, clock } = await identityFor(oidc, { clockSkewSeconds: 5 });
    const token = await oidc.token({ subject: 'triage-bot', lifetimeSeconds: 20 });
    await accept(token);
    clock.aheadMs = 26_000;
    expect((await refuse(token)).code).toBe('credential_expired');
  });

  test('verifies again after its time', async () => {
    const { accept, clock } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot' });
    const first = await accept(token);
    clock.aheadMs = limits.tokenCacheMsMax;
    const second = await accept(token);
    expect(second).not.toBe(first);
    expect(second).toEqual(first);
  });
});

describe('an error', () => {
  test('says what failed and contains nothing of the token', async () => {
    const { refuse } = await identityFor(oidc);
    const secret = 'ana.secret@example.com';
    const token = await oidc.sign({ ...goodClaims(oidc), aud: 'https://other.example', email: secret });
    const error = await refuse(token);
    expect(error.message).toBe('The token is for another audience.');
    const shown = inspect(error, { depth: 10, showHidden: true });
    for (const part of [secret, 'other.example', ...token.split('.')]) expect(shown).not.toContain(part);
  });

  test('for no token at all says so', async () => {
    const { refuse } = await identityFor(oidc);
    expect((await refuse('')).code).toBe('credential_missing');
  });
});
