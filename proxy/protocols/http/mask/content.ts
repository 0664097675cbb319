import { detectors } from '../../../core/detectors.ts';
import { type CompiledMask, compileJsonPath, JsonPaths } from '../../../core/masker.ts';
import { aliasedPaths } from './graphql.ts';

/** The masks of a decision: by JSON path, and by detector. */
export interface ContentMasks {
  readonly json: ReadonlyMap<string, CompiledMask>;
  readonly text: ReadonlyMap<string, CompiledMask>;
}

/** The same, made ready. */
export interface ReadyMasks {
  readonly paths: JsonPaths;
  readonly hasPaths: boolean;
  /** Undefined when no detector is to be asked. */
  readonly text: ReadonlyMap<string, CompiledMask> | undefined;
}

const known = new WeakMap<ContentMasks['json'], JsonPaths>();

/**
 * Makes masks ready. What is made of one map of paths is kept for its next use.
 *
 * @param aliases - of a GraphQL operation: places in the answer that an alias moved → the path of the field there
 * @returns undefined when a path or a detector is unknown, which no plan should have let through
 */
export function prepareMasks(
  { json, text }: ContentMasks,
  aliases: Readonly<Record<string, string>> = {},
): ReadyMasks | undefined {
  if (![...text.keys()].every((name) => detectors.has(name))) return undefined;
  const isAliased = Object.keys(aliases).length > 0;
  const before = isAliased ? undefined : known.get(json);
  const paths = before === undefined || before.isFull ? compiled(json, aliases) : before;
  if (paths === undefined) return undefined;
  if (!isAliased) known.set(json, paths);
  return { paths, hasPaths: json.size > 0, text: text.size > 0 ? text : undefined };
}

function compiled(json: ContentMasks['json'], aliases: Readonly<Record<string, string>>): JsonPaths | undefined {
  const all = [];
  for (const [text, mask] of json) {
    const made = compileJsonPath(text);
    if ('error' in made) return undefined;
    for (const path of [made.path, ...aliasedPaths(made.path, aliases)]) all.push([path, mask] as const);
  }
  return new JsonPaths(all);
}
