import { expect, test } from '@jest/globals';
import { check, readSeeds } from '../../../fuzz/corpus.ts';

const seeds = readSeeds('http');

test('the corpus is there', () => {
  expect(new Set(seeds.map(({ target }) => target)).size).toBe(2);
});

test.each(seeds.map((seed) => [seed.name, seed] as const))('%s breaks no rule', (_, seed) => {
  return check(seed, seed.bytes, 1);
});
