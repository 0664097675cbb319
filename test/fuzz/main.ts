/**
 * Mutates the seeds of `test/corpus` for a bounded time and checks what must hold for any bytes.
 * `node test/fuzz/main.ts [--seconds=30] [--seed=N]`; a failing input is saved into the corpus, and the exit code is 1.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { check, folder, readSeeds } from './corpus.ts';
import { mutate, seeded } from './mutate.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error('usage: node test/fuzz/main.ts [--seconds=30] [--seed=N]');
  process.exit(2);
}

const seeds = readSeeds();
const random = seeded(seed);
const end = performance.now() + seconds * 1000;
let inputs = 0;
for (const { name, target, bytes } of seeds) run(target, bytes, `the seed ${name}`);
while (performance.now() < end) {
  const chosen = seeds[random(seeds.length)];
  const other = seeds[random(seeds.length)];
  if (chosen === undefined || other === undefined) throw new Error('the corpus is empty');
  run(chosen.target, mutate(chosen.bytes, other.bytes, random), `a mutation of ${chosen.name}`);
}
console.log(`fuzz: ${inputs} inputs from ${seeds.length} seeds in ${seconds} s, nothing found (--seed=${seed})`);

function run(target: Parameters<typeof check>[0], bytes: Buffer, what: string): void {
  inputs++;
  try {
    check(target, bytes, seed);
  } catch (error) {
    const file = join(folder, `${target}-found-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.bin`);
    writeFileSync(file, bytes);
    console.error(`fuzz: ${what} breaks a rule; saved as ${file} (--seed=${seed})`);
    console.error(error);
    process.exit(1);
  }
}
