import { expect, test } from '@jest/globals';
import ssh2 from 'ssh2';
import { requirePatched } from '../../../../../proxy/protocols/ssh/ssh2.ts';

test('the package with its repairs passes', () => {
  expect(() => requirePatched(ssh2)).not.toThrow();
});

test.each([
  ['none', {}],
  ['those of an earlier revision', { sallyport: 1 }],
  ['those of a later one', { sallyport: 1_000 }],
  ['a mark that is no revision', { sallyport: true }],
])('one with %s is refused, with what to do', (_title, module) => {
  expect(() => requirePatched(module)).toThrow(/repairs: install/);
});
