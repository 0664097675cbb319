import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { ScramExchange, type ScramOptions, serverEndPoint } from '../../../../proxy/protocols/postgres/scram.ts';
import { makeCertificates } from '../../../support/tls.ts';

/** The example of RFC 7677 section 3, but for the user name, which PostgreSQL leaves empty. */
const nonce = 'rOprNGfwEbeRWgbNEkqO';
const serverFirst = `r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;

function exchange(options: Partial<ScramOptions> = {}): ScramExchange {
  return new ScramExchange({
    password: 'pencil',
    mechanisms: ['SCRAM-SHA-256'],
    channelBinding: undefined,
    iterationsMin: 4096,
    iterationsMax: 10_000,
    nonce,
    ...options,
  });
}

describe('SCRAM-SHA-256', () => {
  test('proves the password and verifies the server', async () => {
    const scram = exchange();
    expect(scram.first.toString()).toBe(`n,,n=,r=${nonce}`);
    const final = (await scram.respond(Buffer.from(serverFirst))).toString();
    // Computed independently with the formulas of RFC 5802 section 3 for an empty user name.
    expect(final).toBe(
      `c=biws,r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=`,
    );
    expect(() => scram.verify(Buffer.from('v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg='))).not.toThrow();
  });

  test.each(['v=', 'v=AAAA', `v=${'A'.repeat(43)}=`, 'e=other-error', ''])(
    'does not believe a server that answers %j',
    async (answer) => {
      const scram = exchange();
      await scram.respond(Buffer.from(serverFirst));
      expect(() => scram.verify(Buffer.from(answer))).toThrow('signature of the server is wrong');
    },
  );

  test('does not believe a server before it answered at all', () => {
    expect(() => exchange().verify(Buffer.from('v='))).toThrow('signature of the server is wrong');
  });

  test.each([
    ['a nonce of its own', 'r=other,s=AAAA,i=4096'],
    ['only our nonce', `r=${nonce},s=AAAA,i=4096`],
    ['too few rounds', `r=${nonce}x,s=AAAA,i=4095`],
    ['too many rounds', `r=${nonce}x,s=AAAA,i=10001`],
    ['rounds without end', `r=${nonce}x,s=AAAA,i=99999999999999999999`],
    ['no salt', `r=${nonce}x,i=4096`],
    ['a mandatory extension', `m=1,r=${nonce}x,s=AAAA,i=4096`],
    ['nothing', ''],
  ])('refuses a server that sends %s', async (_, message) => {
    await expect(exchange().respond(Buffer.from(message))).rejects.toThrow();
  });

  test('binds the channel when both can, and says when it could but was not offered to', () => {
    const channelBinding = Buffer.alloc(32);
    const both = exchange({ channelBinding, mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'] });
    expect([both.mechanism, both.first.toString()]).toEqual([
      'SCRAM-SHA-256-PLUS',
      `p=tls-server-end-point,,n=,r=${nonce}`,
    ]);
    const stripped = exchange({ channelBinding });
    expect([stripped.mechanism, stripped.first.toString()]).toEqual(['SCRAM-SHA-256', `y,,n=,r=${nonce}`]);
    expect(() => exchange({ mechanisms: ['SCRAM-SHA-256-PLUS'] })).toThrow();
    expect(() => exchange({ mechanisms: ['OAUTHBEARER'] })).toThrow();
  });

  test('hashes the server certificate with the hash of its signature', async () => {
    const raw = new X509Certificate((await makeCertificates()).server.certificate).raw;
    expect(serverEndPoint(raw)).toEqual(createHash('sha256').update(raw).digest());
  });
});
