import type { JsonPath, JsonStep } from '../../../core/masker.ts';

/**
 * The paths of an answer that a mask's path means, where aliases have moved what it names: `$.data.customer.email` is at
 * `$.data.c.mail` in the answer to `{ c: customer { mail: email } }`. The path itself still holds, for what was not moved; where an
 * alias has put another field in its place it hides that one too.
 *
 * A GraphQL document does not say where lists are. So lists are looked through, and a step to every child may be one into a list or
 * one to any field: both are followed.
 *
 * @param aliases - places in the answer, without `data` → the paths of the fields there
 * @see https://spec.graphql.org/October2021/#sec-Response-Format
 */
export function aliasedPaths(path: JsonPath, aliases: Readonly<Record<string, string>>): JsonPath[] {
  return Object.entries(aliases)
    .filter(([, field]) => leadsTo(path, ['data', ...field.split('.')]))
    .map(([place]) => ({ steps: ['data', ...place.split('.')].map(throughLists) }));
}

function throughLists(name: string): JsonStep {
  return { name, descends: false, throughLists: true };
}

function leadsTo({ steps }: JsonPath, names: readonly string[]): boolean {
  let positions = overLists(steps, new Set([0]));
  for (const name of names) {
    const next = new Set<number>();
    for (const position of positions) {
      const step = steps[position];
      if (step === undefined) continue;
      if (step.descends) next.add(position);
      if (step.name === undefined || step.name === name) next.add(position + 1);
    }
    positions = overLists(steps, next);
  }
  return positions.has(steps.length);
}

/** Where one also is when steps to every child led into lists. */
function overLists(steps: readonly JsonStep[], positions: Set<number>): Set<number> {
  // A set is gone through in the order of adding, what is added meanwhile included.
  for (const position of positions) {
    const step = steps[position];
    if (step !== undefined && step.name === undefined) positions.add(position + 1);
  }
  return positions;
}
