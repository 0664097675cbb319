import { expect, test } from '@jest/globals';
import { runtimeFault } from '../../../proxy/core/runtime.ts';

test.each(['24.18.1', '24.21.0', '26.5.1', '27.0.0', '28.1.0'])('Node %s may run a gateway', (version) => {
  expect(runtimeFault(version)).toBeUndefined();
});

test.each(['18.20.8', '20.20.2', '22.23.2', '24.18.0', '24.2.0', '25.9.0', '26.0.0', '26.5.0'])(
  'Node %s must not run a gateway',
  (version) => {
    expect(runtimeFault(version)).toContain('CVE-2026-58044');
  },
);

test('the Node that runs the tests is one that may', () => {
  expect(runtimeFault(process.versions.node)).toBeUndefined();
});
