import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import type { Fault } from '../../../../../proxy/core/types.ts';
import { createScpGate, type ScpGate } from '../../../../../proxy/protocols/ssh/scp/gate.ts';

function gated(direction: 'upload' | 'download', full?: Promise<void>) {
  const said = { host: '', client: '' };
  const files: object[] = [];
  const faults: Fault[] = [];
  const gate: ScpGate = createScpGate({
    direction,
    limits,
    toHost: (bytes) => {
      said.host += bytes.toString();
      return full;
    },
    toClient: (bytes) => {
      said.client += bytes.toString();
      return full;
    },
    recordFile: (file) => files.push(file),
    fail: (fault) => faults.push(fault),
  });
  return { gate, said, files, faults };
}

const answer = () => Buffer.from([0]);

describe('a client that does not wait for its answers', () => {
  test('is made to, and is served', async () => {
    const { gate, said, files } = gated('upload');
    const sent = gate.fromClient(Buffer.from('C0644 5 a\nhello\0C0644 2 b\nhi\0'));
    expect(said.host).toBe('');
    const seen: string[] = [];
    for (let answers = 0; answers < 5; answers++) {
      await gate.fromHost(answer());
      await Promise.resolve();
      seen.push(said.host);
    }
    await sent;
    expect(seen).toEqual([
      'C0644 5 a\n',
      'C0644 5 a\nhello\0',
      'C0644 5 a\nhello\0C0644 2 b\n',
      'C0644 5 a\nhello\0C0644 2 b\nhi\0',
      'C0644 5 a\nhello\0C0644 2 b\nhi\0',
    ]);
    expect(files).toMatchObject([
      { path: 'a', direction: 'upload', complete: true },
      { path: 'b', direction: 'upload', complete: true },
    ]);
    expect(said.client).toBe('\0\0\0\0\0');
  });

  test('is let go when the channel ends', async () => {
    const { gate, said } = gated('upload');
    const sent = gate.fromClient(Buffer.from('C0644 5 a\n'));
    gate.close();
    await sent;
    expect(said.host).toBe('');
    expect(gate.fromClient(Buffer.from('x'))).toBeUndefined();
  });
});

test('a source that is read while it has to wait ends the channel, and overtakes nothing', () => {
  const { gate, said, faults } = gated('upload');
  void gate.fromClient(Buffer.from('C0644 5 a\n'));
  void gate.fromClient(Buffer.from('C0644 5 b\n'));
  expect(faults.map(({ code }) => code)).toEqual(['internal_error']);
  expect(said.host).toBe('');
});

test('a host that sends what nobody would write ends the channel once, and reaches nobody', () => {
  const { gate, said, faults } = gated('download');
  void gate.fromClient(answer());
  void gate.fromHost(Buffer.from('C0644 1 ../.bashrc\nx\0'));
  void gate.fromHost(Buffer.from('C0644 1 fine\n'));
  expect(faults.map(({ code }) => code)).toEqual(['operation_malformed']);
  expect(said.client).toBe('');
});

test('who is not taken from is waited for', async () => {
  const room = Promise.withResolvers<void>();
  const { gate } = gated('upload', room.promise);
  expect(gate.fromHost(answer())).toBe(room.promise);
  let through = false;
  const sent = gate.fromClient(Buffer.from('C0644 5 a\n'))?.then(() => {
    through = true;
  });
  await Promise.resolve();
  expect(through).toBe(false);
  room.resolve();
  await sent;
  expect(through).toBe(true);
});

test('a file that is unfinished when the channel ends is told of once', () => {
  const { gate, files } = gated('download');
  void gate.fromClient(answer());
  void gate.fromHost(Buffer.from('C0644 5 a\n'));
  void gate.fromClient(answer());
  void gate.fromHost(Buffer.from('he'));
  gate.close();
  gate.close();
  expect(files).toMatchObject([{ path: 'a', direction: 'download', bytes: 5, sha256: undefined, complete: false }]);
});
