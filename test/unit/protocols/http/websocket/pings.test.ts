import { expect, test } from '@jest/globals';
import { Pings } from '../../../../../proxy/protocols/http/websocket/pings.ts';

const secret = Buffer.from('a payload that nobody looked into');

test('a ping goes on as a number, and its answer is to what it was', () => {
  const pings = new Pings(4);
  const asked = pings.ask(secret);
  expect(asked).toHaveLength(4);
  expect(pings.answer(asked)).toEqual(secret);
  expect(pings.answer(asked)).toBeUndefined();
});

test('an answer that nobody asked for is none', () => {
  const pings = new Pings(4);
  const asked = pings.ask(secret);
  for (const payload of ['', 'abcd', secret]) expect(pings.answer(Buffer.from(payload))).toBeUndefined();
  expect(pings.answer(asked)).toEqual(secret);
});

test('the answer to the latest answers those before it, and the oldest of too many is given up', () => {
  const pings = new Pings(2);
  const [first, second, third] = ['1', '2', '3'].map((payload) => pings.ask(Buffer.from(payload)));
  expect(pings.answer(first ?? secret)).toBeUndefined();
  expect(pings.answer(third ?? secret)?.toString()).toBe('3');
  expect(pings.answer(second ?? secret)).toBeUndefined();
});
