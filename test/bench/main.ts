/**
 * Runs the benchmarks and prints, as its last line, one JSON object of figure names to numbers.
 *
 *   make bench                      all of them
 *   make bench ARGS='--rounds=3 --seconds=2'
 */
import { parseArgs } from 'node:util';
import { postgresFigures } from './postgres.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, seconds: { type: 'string', default: '3' } },
});
const figures = await postgresFigures({ rounds: Number(values.rounds), seconds: Number(values.seconds) });
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);
