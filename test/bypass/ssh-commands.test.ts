/**
 * Shell commands that do something else than they seem to. Whatever the classifier calls complete is run for real, in
 * every shell, where it can do no harm, and has to account for each program, file and connection that the trace shows.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createShellClassifier } from '../../proxy/protocols/ssh/shell/index.ts';
import { Random } from './leaks/random.ts';
import { type Entry, readCorpus } from './ssh/corpus.ts';
import { type Judgement, judge, payloadTool, refusal } from './ssh/judge.ts';
import { Mixtures } from './ssh/mixtures.ts';
import { missingPrograms, Scratch } from './ssh/scratch.ts';
import { fired, unsaid } from './ssh/verdict.ts';

const corpus = readCorpus();
const evasions = corpus.filter((entry) => entry.class !== 'legitimate');
const legitimate = corpus.filter((entry) => entry.class === 'legitimate');
const classes = [...new Set(corpus.map((entry) => entry.class))];
// The payload is a tool that the classifier knows: nothing is refused for the sake of its name alone.
const classifier = createShellClassifier({ tools: new Map([['forbidden', payloadTool]]) });
const classify: typeof classifier.classify = (text, context) => classifier.classify(text, context);

/** Other random texts, or more of them, by the environment: `SSH_SEED=7 SSH_TEXTS=5000`. */
const seed = Number(process.env.SSH_SEED ?? 20_261_127);
const textCount = Number(process.env.SSH_TEXTS ?? 250);

test('there are at least 334 evasions, and 60 commands that agents need', () => {
  expect(evasions.length).toBeGreaterThanOrEqual(334);
  expect(legitimate.length).toBeGreaterThanOrEqual(60);
});

test('what agents need is refused only where the corpus says so', () => {
  const refused = legitimate.flatMap((entry) => {
    const words = refusal(entry, classify);
    return words === undefined ? [] : [{ id: entry.id, words }];
  });
  const known = new Set(legitimate.filter(({ unresolved }) => unresolved).map(({ id }) => id));
  process.stdout.write(
    `ssh commands: ${legitimate.length - refused.length} of ${legitimate.length} typical commands resolved\n`,
  );
  expect(refused.filter(({ id }) => !known.has(id))).toEqual([]);
});

const missing = missingPrograms();
if (missing.length === 0) {
  describe('what a command does', traced);
} else if (process.env.CI === 'true') {
  test('what a command does: required in CI', () => {
    throw new Error(`not installed: ${missing.join(', ')}; scripts/ci-install.sh installs them`);
  });
} else {
  test.skip(`what a command does: skipped, ${missing.join(', ')} not installed`, () => {});
}

function traced(): void {
  let scratch: Scratch;
  const judgements = new Map<string, Judgement>();
  beforeAll(() => {
    scratch = new Scratch();
  });
  afterAll(() => {
    scratch?.close();
    const outcomes = evasions.flatMap(({ id }) => judgements.get(id)?.outcome ?? []);
    const count = (wanted: Judgement['outcome']) => outcomes.filter((outcome) => outcome === wanted).length;
    const rate = ((100 * count('resolved')) / Math.max(1, outcomes.length)).toFixed(1);
    process.stdout.write(
      `ssh commands: ${outcomes.length} evasions: ${count('resolved')} resolved (${rate} %), ${count('refused')} refused, ${count('wrong')} wrong\n`,
    );
  });

  /** Runs one entry as it was sent, and then what became of it. */
  async function look(entry: Entry): Promise<readonly string[]> {
    const faults: string[] = [];
    if (!entry.text.includes('\0')) {
      const run = await scratch.run(entry.shell, entry.text, entry.input ?? '');
      const comes = fired(entry.payload, run);
      if (evasions.includes(entry) && comes !== (entry.never === undefined && entry.payload.kind !== 'reaches')) {
        faults.push(comes ? 'its payload comes about after all' : `its payload does not come about: ${run.stderr}`);
      }
      // A classifier that says nothing is found out by every payload.
      if (comes && unsaid(nothing, run).length === 0) faults.push('the oracle does not see its payload');
      const judgement = await judge(entry, classify, scratch, entry.shell === 'bash' ? run : undefined);
      judgements.set(entry.id, judgement);
      if (judgement.outcome === 'wrong') faults.push(...judgement.faults);
    } else {
      const words = refusal(entry, classify);
      judgements.set(entry.id, words === undefined ? { outcome: 'resolved' } : { outcome: 'refused', words });
      if (words === undefined) faults.push('no shell can be given a NUL');
    }
    return faults;
  }

  /** Two at a time: the machine has other things to do. @returns the faults by the entry's name. */
  async function wrongOf(entries: readonly Entry[]): Promise<Record<string, readonly string[]>> {
    const waiting = [...entries];
    const wrong: Record<string, readonly string[]> = {};
    const work = async () => {
      for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
        const faults = await look(entry);
        if (faults.length > 0) wrong[entry.id] = [entry.text, ...faults];
      }
    };
    await Promise.all([work(), work()]);
    return wrong;
  }

  test.each(classes)(
    '%s: it comes to what was said, or it is refused',
    async (name) => {
      expect(await wrongOf(corpus.filter((entry) => entry.class === name))).toEqual({});
    },
    240_000,
  );

  test(
    'random mixtures of quotes, structures and wrappers: they come to what was said, or are refused',
    async () => {
      const mixtures = new Mixtures(new Random(seed));
      const entries = Array.from({ length: textCount }, (_, index) =>
        mixed(`seed ${seed}, text ${index}`, mixtures.text()),
      );
      const wrong = await wrongOf(entries);
      const resolved = entries.filter(({ id }) => judgements.get(id)?.outcome === 'resolved').length;
      process.stdout.write(`ssh commands: ${textCount} random texts of seed ${seed}, ${resolved} resolved\n`);
      expect(wrong).toEqual({});
      // Were all of them refused, they would show nothing.
      expect(resolved).toBeGreaterThan(textCount / 10);
    },
    Math.max(240_000, textCount * 1_000),
  );
}

/** A text that says of itself only that it is one. */
function mixed(id: string, text: string): Entry {
  const payload = { kind: 'runs', what: 'forbidden' } as const;
  return {
    id,
    class: 'mixtures',
    text,
    input: undefined,
    payload,
    shell: 'bash',
    never: 'as it happens',
    unresolved: false,
    reissued: false,
    // Any of them may be on a branch that is not taken; find is a command besides the one that it runs.
    untaken: ['forbidden', 'find'],
  };
}

const nothing = {
  commands: [],
  destinations: [],
  incomplete: [],
  canonical: undefined,
  script: undefined,
  transfer: undefined,
};
