/**
 * Runs the benchmarks and prints, as its last line, one JSON object of figure names to numbers.
 *
 *   make bench                      all of them
 *   make bench ARGS='--only=ssh --rounds=3 --seconds=2'
 */
import { parseArgs } from 'node:util';
import { httpFigures } from './http.ts';
import { jsonMaskFigures } from './http-mask.ts';
import { postgresFigures } from './postgres.ts';
import { sshFigures } from './ssh.ts';
import { maskFigures } from './ssh-mask.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'postgres,ssh,http' },
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '3' },
  },
});
const rounds = Number(values.rounds);
const suites: Readonly<Record<string, () => Promise<Readonly<Record<string, number>>>>> = {
  postgres: () => postgresFigures({ rounds, seconds: Number(values.seconds) }),
  ssh: async () => ({ ...(await sshFigures({ rounds })), ...(await maskFigures()) }),
  http: async () => ({
    ...(await httpFigures({ rounds, seconds: Number(values.seconds) })),
    ...(await jsonMaskFigures()),
  }),
};
const figures: Record<string, number> = {};
for (const name of values.only.split(',')) {
  const suite = Object.hasOwn(suites, name) ? suites[name] : undefined;
  if (suite === undefined) throw new Error(`no such benchmark: ${name}`);
  Object.assign(figures, await suite());
}
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);
