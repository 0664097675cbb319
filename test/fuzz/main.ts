/**
 * Mutates the seeds of `test/corpus` for a bounded time and checks what must hold for any bytes.
 * `node test/fuzz/main.ts [--seconds=30] [--seed=N]`; a failing input is saved into the corpus, and the exit code is 1.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { check, folderOf, protocols, readSeeds, type Seed } from './corpus.ts';
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

const seeds = protocols.flatMap(readSeeds);
const random = seeded(seed);
const end = performance.now() + seconds * 1000;
let inputs = 0;
for (const seed of seeds) await run(seed, seed.bytes, `the seed ${seed.name}`);
while (performance.now() < end) {
  const chosen = seeds[random(seeds.length)];
  const other = seeds[random(seeds.length)];
  if (chosen === undefined || other === undefined) throw new Error('the corpus is empty');
  await run(chosen, mutate(chosen.bytes, other.bytes, random), `a mutation of ${chosen.name}`);
}
console.log(`fuzz: ${inputs} inputs from ${seeds.length} seeds in ${seconds} s, nothing found (--seed=${seed})`);

async function run(from: Seed, bytes: Buffer, what: string): Promise<void> {
  inputs++;
  try {
    await check(from, bytes, seed);
  } catch (error) {
    const file = join(
      folderOf(from.protocol),
      `${from.target}-found-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.bin`,
    );
    writeFileSync(file, bytes);
    console.error(`fuzz: ${what} breaks a rule; saved as ${file} (--seed=${seed})`);
    console.error(error);
    process.exit(1);
  }
}
