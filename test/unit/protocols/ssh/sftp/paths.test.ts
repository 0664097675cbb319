import { expect, test } from '@jest/globals';
import {
  canonicalPath,
  canonicalTarget,
  childOf,
  isCanonical,
  nameOf,
  parentOf,
} from '../../../../../proxy/protocols/ssh/sftp/paths.ts';

test.each([
  ['/a/b', '/a/b'],
  ['a', '/home/ana/a'],
  ['.', '/home/ana'],
  ['', '/home/ana'],
  ['..', '/home'],
  ['../../../../..', '/'],
  ['/../../etc/passwd', '/etc/passwd'],
  ['//etc//passwd', '/etc/passwd'],
  ['/a/./b/../c/', '/a/c'],
  ['/a/..', '/'],
  ['/', '/'],
  // Not names of home folders: SFTP knows no tilde.
  ['~', '/home/ana/~'],
  ['~root/x', '/home/ana/~root/x'],
  ['...', '/home/ana/...'],
  ['a\\..\\b', '/home/ana/a\\..\\b'],
  ['%2e%2e', '/home/ana/%2e%2e'],
])('%j is %s', (path, canonical) => {
  expect(canonicalPath(path, '/home/ana')).toBe(canonical);
  expect(isCanonical(canonical)).toBe(true);
});

test.each(['', 'a', '/a/', '//a', '/a//b', '/a/.', '/..', '/a/../b'])('%j is not canonical', (path) => {
  expect(isCanonical(path)).toBe(false);
});

test('a path falls apart into its folder and its name', () => {
  expect([parentOf('/a/b'), nameOf('/a/b'), childOf('/a', 'b')]).toEqual(['/a', 'b', '/a/b']);
  expect([parentOf('/a'), nameOf('/a'), childOf('/', 'a')]).toEqual(['/', 'a', '/a']);
  expect([parentOf('/'), nameOf('/')]).toEqual(['/', '']);
});

test.each([
  ['/a/../b', '/b'],
  ['a/../b', 'b'],
  ['./b', 'b'],
  ['../x', '../x'],
  ['a/../../x', '../x'],
  ['a/../..', '..'],
  ['a/..', '.'],
  ['../a/../../b//c', '../../b/c'],
])('the target %j of a link is written %s', (target, written) => {
  expect(canonicalTarget(target)).toBe(written);
});
