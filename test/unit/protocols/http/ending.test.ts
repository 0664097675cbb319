import { expect, test } from '@jest/globals';
import { whenEnded } from '../../../../proxy/protocols/http/ending.ts';

test('all who wait are told once, and those who left are not', () => {
  const abort = new AbortController();
  const told: string[] = [];
  whenEnded(abort.signal, () => told.push('one'));
  const leave = whenEnded(abort.signal, () => told.push('two'));
  whenEnded(abort.signal, () => told.push('three'));
  leave();
  leave();
  expect(told).toEqual([]);
  abort.abort();
  abort.abort();
  expect(told).toEqual(['one', 'three']);
});

test('signals are not confused', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const told: string[] = [];
  whenEnded(one.signal, () => told.push('one'));
  whenEnded(other.signal, () => told.push('other'));
  other.abort();
  expect(told).toEqual(['other']);
});
