import { expect, test } from '@jest/globals';
import { datasetSql, knownCustomer } from '../../../scripts/demo/dataset.ts';

const size = { customers: 700, orders: 600, tickets: 50 };
const sql = [...datasetSql(size)].join('\n');

test('the same seed makes the same rows, another seed others', () => {
  expect([...datasetSql(size)].join('\n')).toBe(sql);
  expect([...datasetSql(size, 2)].join('\n')).not.toBe(sql);
});

test('there are as many rows as asked for, in statements of at most 500', () => {
  const statements = [...datasetSql(size)].filter((text) => text.startsWith('INSERT INTO customers'));
  expect(statements.map((text) => text.split('),(').length)).toEqual([500, 200]);
});

test('the customer whom the story looks up is in it', () => {
  for (const value of [knownCustomer.email, knownCustomer.name, knownCustomer.ssn]) expect(sql).toContain(`'${value}'`);
});

test('nobody in it exists', () => {
  const numbers = [...sql.matchAll(/'(\d{3})-\d\d-\d{4}'/g)].map(([, area]) => Number(area));
  expect(numbers).toHaveLength(size.customers);
  expect(numbers.filter((area) => area < 900)).toEqual([]);
  const hosts = new Set([...sql.matchAll(/@([\w.]+)'/g)].map(([, host]) => host));
  expect([...hosts].toSorted()).toEqual(['example.com', 'example.net', 'example.org']);
  expect([...sql.matchAll(/'\+1-555-(\d\d)\d\d'/g)].every(([, block]) => block === '01')).toBe(true);
});

test('card numbers carry a valid check digit, so that detectors see them', () => {
  const cards = [...sql.matchAll(/'((?:4|5)\d{15})'/g)].map(([, card]) => card ?? '');
  expect(cards).toHaveLength(size.orders);
  const sum = (card: string) =>
    [...card].toReversed().reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
  expect(cards.filter((card) => sum(card) % 10 !== 0)).toEqual([]);
});
