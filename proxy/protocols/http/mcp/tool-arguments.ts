/** The arguments of a tool call against the schema that the tool was accepted with. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { limits } from '../../../core/limits.ts';
import type { Json, JsonObject } from '../../../core/types.ts';
import { isObject } from './json-rpc.ts';
import type { ToolStatus } from './tool-pins.ts';

/** By the SHA-256 of the definition; null for a schema that is not checked. */
const validators = new Map<string, ValidateFunction | null>();

/**
 * Checks the arguments of a call. The schema is the server's, so it may not cost what it likes: it is left unchecked (the
 * server checks it too) when it is recursive, refers outside itself or grows past a bound once written out, and the
 * keywords whose cost is not linear (`pattern`, `uniqueItems`) are left out.
 *
 * @returns a sentence that names the place in the schema, never a value; undefined when nothing is wrong.
 */
export function argumentsProblem(callArguments: JsonObject, { sha256, definition }: ToolStatus): string | undefined {
  if (definition === undefined) return undefined;
  const validate = validatorOf(sha256, definition.inputSchema);
  if (validate === null || validate(callArguments)) return undefined;
  const [error] = validate.errors ?? [];
  return `The arguments do not match the schema of the tool at ${error?.schemaPath.slice(0, 256) ?? '#'}.`;
}

function validatorOf(sha256: string, schema: Json | undefined): ValidateFunction | null {
  const known = validators.get(sha256);
  if (known !== undefined) return known;
  const oldest = validators.keys().next();
  if (validators.size >= limits.mcpToolValidatorsMax && !oldest.done) validators.delete(oldest.value);
  const validator = compile(schema);
  validators.set(sha256, validator);
  return validator;
}

function compile(schema: Json | undefined): ValidateFunction | null {
  if (!isObject(schema) || !bounded(schema)) return null;
  try {
    // An instance of its own: it keeps every schema that it compiled.
    const ajv = new Ajv2020({ strict: false, validateFormats: false, validateSchema: false, logger: false });
    return ajv.compile(JSON.parse(JSON.stringify(schema, withoutCostly)));
  } catch {
    return null;
  }
}

function withoutCostly(key: string, value: unknown): unknown {
  // A property may be called that; then what stands there is a schema and no text.
  if (key === 'pattern' && typeof value === 'string') return undefined;
  return key === 'uniqueItems' && typeof value === 'boolean' ? undefined : value;
}

/** Keywords that make a schema depend on something else than its own text, or on expressions of the server's. */
const unfollowed: ReadonlySet<string> = new Set(
  '$id id $anchor $dynamicAnchor $dynamicRef $recursiveAnchor $recursiveRef patternProperties'.split(' '),
);

/** Is the schema small once every reference in it is written out? Each node is then visited once for each value. */
function bounded(root: JsonObject): boolean {
  const sizes = new Map<JsonObject, number>();
  const open = new Set<JsonObject>();
  /** Infinity for what is recursive or not followed. */
  function sizeOf(node: Json, isMap: boolean): number {
    if (Array.isArray(node)) return node.reduce((sum: number, item: Json) => sum + sizeOf(item, false), 1);
    if (!isObject(node)) return 1;
    const known = sizes.get(node);
    if (known !== undefined) return known;
    if (open.has(node)) return Number.POSITIVE_INFINITY;
    open.add(node);
    let size = 1;
    for (const [key, value] of Object.entries(node)) {
      if (!isMap && key === '$ref') size += referenced(value);
      else if (!isMap && unfollowed.has(key) && (key !== 'id' || typeof value === 'string')) {
        size = Number.POSITIVE_INFINITY;
      } else size += sizeOf(value, !isMap && maps.has(key));
      if (size > limits.mcpToolSchemaNodesMax) break;
    }
    open.delete(node);
    sizes.set(node, size);
    return size;
  }
  function referenced(reference: Json): number {
    if (typeof reference !== 'string' || !reference.startsWith('#/')) return Number.POSITIVE_INFINITY;
    let target: Json | undefined = root;
    for (const step of reference.slice(2).split('/')) {
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
      target = isObject(target) && Object.hasOwn(target, name) ? target[name] : undefined;
    }
    return isObject(target) ? sizeOf(target, false) : Number.POSITIVE_INFINITY;
  }
  return sizeOf(root, false) <= limits.mcpToolSchemaNodesMax;
}

/** Keywords whose members are named by the author, so that none of them is a keyword. */
const maps: ReadonlySet<string> = new Set('properties $defs definitions dependentSchemas'.split(' '));
