import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { ChunkWriter, Forwarder } from '../../../proxy/core/forwarder.ts';
import { claimPermitIssuer } from '../../../proxy/core/permit.ts';
import type { Decision, Outcome } from '../../../proxy/core/types.ts';

// This file never loads the gate, so the issuer is free for the first to ask.
const issue = claimPermitIssuer();

const decision: Decision = {
  effect: 'allow',
  reasons: [],
  shadow: [],
  masks: { columns: new Map(), json: new Map(), text: new Map() },
  obligations: [],
  labels: [],
  accessRequest: undefined,
  quarantine: undefined,
  bundleRevision: '1',
  dataRevision: '1',
};

test('the permit issuer can be claimed once', () => {
  expect(() => claimPermitIssuer()).toThrow('already claimed');
});

test('a permit completes once, with its first outcome', () => {
  const outcomes: Outcome[] = [];
  const permit = issue('d.1', decision, undefined, (outcome) => outcomes.push(outcome));
  expect(permit.open).toBe(true);
  permit.complete({ status: 'ok', rows: 1 });
  permit.complete({ status: 'error' });
  expect(permit.open).toBe(false);
  expect(outcomes).toEqual([{ status: 'ok', rows: 1 }]);
});

test('nothing is forwarded under a permit that was completed', () => {
  const sink = new PassThrough();
  const forwarder = new Forwarder(sink);
  const permit = issue('d.2', decision, undefined, () => {});
  forwarder.forward(permit, Buffer.from('abc'), 0, 3);
  permit.complete({ status: 'ok' });
  expect(() => forwarder.forward(permit, Buffer.from('def'), 0, 3)).toThrow('d.2');
  expect(() => forwarder.insert(permit, Buffer.from('def'))).toThrow('d.2');
  forwarder.flush();
  expect(sink.read()?.toString()).toBe('abc');
});

test('ranges of a chunk that follow each other leave as one piece, in order with what is inserted', () => {
  const pieces: string[] = [];
  const sink = new PassThrough();
  sink.write = ((piece: Buffer) => pieces.push(piece.toString()) > 0) as typeof sink.write;
  const writer = new ChunkWriter(sink);
  const chunk = Buffer.from('0123456789');
  writer.range(chunk, 0, 3);
  writer.range(chunk, 3, 5);
  writer.flush();
  writer.range(chunk, 5, 6);
  writer.insert(Buffer.from('-'));
  writer.range(chunk, 8, 10);
  writer.flush();
  expect(pieces).toEqual(['01234', '5-89']);
});
