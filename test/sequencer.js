import Sequencer from '@jest/test-sequencer';

/** Files that take minutes, the longest first. Begun last, one of them would keep one processor busy and the others waiting. */
const long = ['differential/regress', 'bypass/ssh-commands', 'e2e/approvals-kill'];

/** The order of test files: those first, and then as jest has it (by how long they took before, or by their size). */
export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const named = (name) => sorted.filter(({ path }) => path.endsWith(`/test/${name}.test.ts`));
    return [...new Set([...long.flatMap(named), ...sorted])];
  }
}
