import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { StreamTotals } from '../../../../proxy/protocols/ssh/transfer.ts';

test('an opaque stream is counted and hashed by direction, and can be asked while it goes on', () => {
  const totals = new StreamTotals();
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  totals.fromClient(Buffer.from('ab'));
  expect(totals.totals()).toEqual({
    client: { bytes: 2, sha256: sha256('ab') },
    host: { bytes: 0, sha256: sha256('') },
  });
  totals.fromHost(Buffer.from('xyz'));
  totals.fromClient(Buffer.from('c'));
  expect(totals.totals()).toEqual({
    client: { bytes: 3, sha256: sha256('abc') },
    host: { bytes: 3, sha256: sha256('xyz') },
  });
});
