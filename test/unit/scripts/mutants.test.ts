import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { mutants } from '../../../scripts/mutants/list.ts';
import { pathOf } from '../../../scripts/mutants/run-tests.ts';

const repository = join(import.meta.dirname, '../../..');

test('every mutant names one place in the code, and tests that are there', () => {
  const lost = mutants.filter(({ file, find, tests }) => {
    const path = join(repository, file);
    const count = existsSync(path) ? readFileSync(path, 'utf8').split(find).length - 1 : 0;
    return count !== 1 || !tests.every((name) => existsSync(join(repository, pathOf(name))));
  });
  expect(lost.map(({ name, file }) => `${file}: ${name}`)).toEqual([]);
});

test('each has a name of its own', () => {
  const names = mutants.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
