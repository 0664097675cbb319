/**
 * Which functions a name may mean, and what that says of the result.
 *
 * @see https://www.postgresql.org/docs/current/typeconv-func.html
 */
import type { Analysis } from './analysis.ts';
import { type Ast, strings } from './ast.ts';
import { isPure } from './pure-functions.ts';
import type { FunctionFact, Oid } from './snapshot.ts';
import { arrayOf, baseType, elementOf, mayBecome, oids } from './types.ts';

/** What a call comes to. */
export interface Call {
  /** Every function it may be; empty when there is none of that name and shape. */
  readonly candidates: readonly FunctionFact[];
  /** Its result may be influenced by more than its arguments. */
  readonly unknown: boolean;
  /** What is passed to it may be stored, sent or raised. */
  readonly sink: boolean;
  /** Zero when not inferred. */
  readonly result: Oid;
}

/** A call's arguments as far as overloading looks at them. */
export interface Arguments {
  readonly types: readonly Oid[];
  /** `f(VARIADIC array)`. */
  readonly variadic: boolean;
  /** Some are passed by name. */
  readonly named: boolean;
}

/** Resolves a function's name without recording anything. */
export function findFunctions(a: Analysis, names: readonly Ast[], args: Arguments): readonly FunctionFact[] {
  const qualified = strings(names);
  const name = qualified?.at(-1);
  if (qualified === undefined || name === undefined || qualified.length > 3) return [];
  if (qualified.length === 3 && qualified[0] !== a.around.database) return [];
  const schemas = qualified.length === 1 ? a.around.path : [qualified.at(-2) ?? ''];
  const all = a.snapshot.functions.get(name) ?? [];
  const callable = all.filter((each) => schemas.includes(each.schema) && accepts(each, args));
  return narrow(a, unshadowed(callable, schemas), args);
}

/** Resolves a call and records the functions it may run. */
export function resolveCall(a: Analysis, names: readonly Ast[], args: Arguments): Call {
  const candidates = findFunctions(a, names, args);
  for (const each of candidates) a.call(each);
  const results = new Set(candidates.map((each) => resultType(a, each, args)));
  const [result] = results;
  return {
    candidates,
    unknown: candidates.length === 0 || !candidates.every(isPure),
    sink: candidates.some(hasSideEffects),
    result: results.size === 1 ? (result ?? 0) : 0,
  };
}

/** A volatile function may keep what it is given, unless it is one of the server's own that cannot. */
function hasSideEffects(fact: FunctionFact): boolean {
  return (fact.volatility === 'volatile' || fact.volatility === 'unknown') && !isPure(fact);
}

function accepts(fact: FunctionFact, args: Arguments): boolean {
  const given = args.types.length;
  const declared = fact.argumentTypes.length;
  if (fact.kind === 'procedure') return given <= fact.callArguments || fact.variadic;
  if (args.variadic) return fact.variadic && given <= declared;
  if (fact.variadic && given >= declared - 1 - fact.defaults) return true;
  return given <= declared && given >= declared - fact.defaults;
}

/** Of functions with the same argument types only the one in the earliest schema can be meant. */
function unshadowed(candidates: readonly FunctionFact[], schemas: readonly string[]): readonly FunctionFact[] {
  if (candidates.length < 2) return candidates;
  const first = new Map<string, FunctionFact>();
  for (const schema of schemas) {
    for (const each of candidates) {
      if (each.schema !== schema) continue;
      const key = each.argumentTypes.join();
      if (!first.has(key)) first.set(key, each);
    }
  }
  return [...first.values()];
}

/** Drops what PostgreSQL would not choose: an exact match wins; an argument that cannot become the type loses. */
function narrow(a: Analysis, candidates: readonly FunctionFact[], args: Arguments): readonly FunctionFact[] {
  if (candidates.length < 2 || args.named || args.variadic) return candidates;
  if (args.types.every((type) => type !== 0 && type !== oids.unknown)) {
    const key = args.types.join();
    const exact = candidates.find((each) => each.argumentTypes.join() === key);
    if (exact !== undefined) return [exact];
  }
  const possible = candidates.filter((each) =>
    args.types.every((type, index) => mayBecome(a, type, argumentType(each, index))),
  );
  return possible.length > 0 ? textual(a, possible, args) : candidates;
}

/** Literals without a type are taken for text where that is possible. */
function textual(a: Analysis, candidates: readonly FunctionFact[], args: Arguments): readonly FunctionFact[] {
  if (!args.types.every((type) => type === oids.unknown)) return candidates;
  const texts = candidates.filter((each) =>
    args.types.every((_, index) => a.snapshot.types.get(argumentType(each, index))?.isString === true),
  );
  return texts.length > 0 ? texts : candidates;
}

/** The declared type of an argument; unknown for the repeated ones of a variadic function. */
function argumentType(fact: FunctionFact, index: number): Oid {
  if (fact.variadic && index >= fact.argumentTypes.length - 1) return 0;
  return fact.argumentTypes[index] ?? 0;
}

const polymorphicElements: ReadonlySet<Oid> = new Set([
  oids.anyelement,
  oids.anynonarray,
  oids.anyenum,
  oids.anycompatible,
  oids.anycompatiblenonarray,
]);
const polymorphicArrays: ReadonlySet<Oid> = new Set([oids.anyarray, oids.anycompatiblearray]);

/** The declared result type, or what a polymorphic one comes to for these arguments. */
export function resultType(a: Analysis, fact: FunctionFact, args: Arguments): Oid {
  if (polymorphicElements.has(fact.returns)) return polymorphicElement(a, fact, args);
  if (polymorphicArrays.has(fact.returns)) return arrayOf(a, polymorphicElement(a, fact, args));
  return fact.returns;
}

function polymorphicElement(a: Analysis, fact: FunctionFact, args: Arguments): Oid {
  for (let index = 0; index < fact.argumentTypes.length; index++) {
    const declared = fact.argumentTypes[index] ?? 0;
    const given = args.types[index] ?? 0;
    if (given === 0 || given === oids.unknown) continue;
    if (polymorphicElements.has(declared)) return given;
    if (polymorphicArrays.has(declared)) return elementOf(a, baseType(a, given));
  }
  return 0;
}
