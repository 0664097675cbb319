/**
 * Which functions an operator may mean. PostgreSQL's own operators are functions of their operands and
 * nothing else; anyone's else may be anything.
 *
 * @see https://www.postgresql.org/docs/current/typeconv-oper.html
 */
import type { Analysis } from './analysis.ts';
import { type Ast, strings } from './ast.ts';
import { isSystem, type Oid, type OperatorFact } from './snapshot.ts';
import { baseType, mayBecome, oids } from './types.ts';

/** What an operator comes to. */
export interface Operation {
  /** Zero when not inferred. */
  readonly result: Oid;
  /** It may run a function that did not come with the server: its result may be influenced by anything. */
  readonly unknown: boolean;
}

const notFound: Operation = { result: 0, unknown: true };

/**
 * Resolves an operator by name and the types of its operands (zero when not known; `left` is `undefined` for a
 * prefix operator) and records the functions it may run.
 */
export function resolveOperator(a: Analysis, names: readonly Ast[], left: Oid | undefined, right: Oid): Operation {
  const qualified = strings(names);
  const name = qualified?.at(-1);
  if (qualified === undefined || name === undefined) {
    a.incomplete.add('unknown_operator');
    return notFound;
  }
  const arity = left !== undefined;
  const all = a.snapshot.operators.get(name) ?? [];
  const schemas = qualified.length === 1 ? a.around.path : [qualified.at(-2) ?? ''];
  const candidates = all.filter((each) => schemas.includes(each.schema) && (each.left !== 0) === arity);
  if (candidates.length === 0) {
    a.incomplete.add('unknown_operator');
    return notFound;
  }
  if (candidates.every((each) => isSystem(each.code.schema))) {
    return { result: resultOf(candidates, exact(a, candidates, schemas, left, right)), unknown: false };
  }
  const chosen = exact(a, candidates, schemas, left, right);
  const possible =
    chosen !== undefined
      ? [chosen]
      : candidates.filter((each) => mayBecome(a, left ?? 0, each.left) && mayBecome(a, right, each.right));
  const foreign = possible.filter((each) => !isSystem(each.code.schema));
  for (const each of foreign) a.call(each.code);
  return { result: resultOf(possible, chosen), unknown: foreign.length > 0 };
}

function resultOf(candidates: readonly OperatorFact[], chosen: OperatorFact | undefined): Oid {
  if (chosen !== undefined) return chosen.result;
  const [first] = candidates;
  return first !== undefined && candidates.every((each) => each.result === first.result) ? first.result : 0;
}

/** The candidate whose operand types are exactly these, the earliest schema first: it wins whatever else exists. */
function exact(
  a: Analysis,
  candidates: readonly OperatorFact[],
  schemas: readonly string[],
  left: Oid | undefined,
  right: Oid,
): OperatorFact | undefined {
  if (right === 0 || left === 0) return undefined;
  let one = left;
  let other = right;
  // A literal without a type is taken to have the type of the other operand.
  if (one === oids.unknown) one = other;
  else if (other === oids.unknown) other = one ?? 0;
  if (other === oids.unknown) return undefined;
  const match = (of: Oid, to: Oid) =>
    schemas
      .map((schema) => candidates.find((each) => each.schema === schema && each.left === of && each.right === to))
      .find((each) => each !== undefined);
  return match(one ?? 0, other) ?? match(one === undefined ? 0 : baseType(a, one), baseType(a, other));
}
