/**
 * Reading the parser's tree. It is JSON from a foreign library, so every field is checked where it is read;
 * a field of an unexpected shape reads as absent, and what depends on it ends as incomplete.
 *
 * A node that may be of several kinds is wrapped: `{"ColumnRef": {…}}`. A field of one fixed kind is not.
 * Absent fields are zero, false, empty or null: the parser leaves those out.
 */

/** The body of a node, or a wrapper around one. */
export interface Ast {
  readonly [field: string]: unknown;
}

/** What an absent node reads as. */
export const emptyAst: Ast = Object.freeze({});

/** True for anything with fields. */
export function isAst(value: unknown): value is Ast {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The kind of a wrapped node: its only key. Empty for a null node. */
export function kindOf(node: Ast): string {
  for (const kind in node) return kind;
  return '';
}

/** The body of a wrapped node. */
export function bodyOf(node: Ast): Ast {
  for (const kind in node) {
    const body = node[kind];
    return isAst(body) ? body : emptyAst;
  }
  return emptyAst;
}

/** A field that holds a node (wrapped or not), or `undefined`. */
export function child(body: Ast, field: string): Ast | undefined {
  const value = body[field];
  return isAst(value) ? value : undefined;
}

/** A field that holds a list of wrapped nodes; null nodes in it read as empty ones. */
export function list(body: Ast, field: string): readonly Ast[] {
  const value = body[field];
  if (!Array.isArray(value)) return [];
  return value.every(isAst) ? value : value.map((each) => (isAst(each) ? each : emptyAst));
}

/** A field that holds text; empty when absent. */
export function text(body: Ast, field: string): string {
  const value = body[field];
  return typeof value === 'string' ? value : '';
}

/** A field that holds a number; zero when absent. 64-bit numbers come as text. */
export function number(body: Ast, field: string): number {
  const value = body[field];
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value !== '' ? Number(value) : 0;
}

/** A field that holds a boolean; false when absent. */
export function flag(body: Ast, field: string): boolean {
  return body[field] === true;
}

/** The text of a wrapped `String`, or `undefined` for any other node. */
export function stringOf(node: Ast | undefined): string | undefined {
  if (node === undefined || kindOf(node) !== 'String') return undefined;
  return text(bodyOf(node), 'sval');
}

/** The texts of a list of `String` nodes, or `undefined` when one of them is something else. */
export function strings(nodes: readonly Ast[]): string[] | undefined {
  const texts: string[] = [];
  for (const node of nodes) {
    const each = stringOf(node);
    if (each === undefined) return undefined;
    texts.push(each);
  }
  return texts;
}

/** The items of a wrapped `List`, or `undefined` for any other node. */
export function itemsOf(node: Ast | undefined): readonly Ast[] | undefined {
  if (node === undefined || kindOf(node) !== 'List') return undefined;
  return list(bodyOf(node), 'items');
}

/** A constant as plain text: strings, numbers and booleans; `undefined` for null and anything that is not a constant. */
export function constantText(node: Ast | undefined): string | undefined {
  if (node === undefined) return undefined;
  const body = bodyOf(node);
  switch (kindOf(node)) {
    case 'String':
      return text(body, 'sval');
    case 'Integer':
      return String(number(body, 'ival'));
    case 'Float':
      return text(body, 'fval');
    case 'Boolean':
      return String(flag(body, 'boolval'));
    case 'A_Const': {
      const string = child(body, 'sval');
      if (string !== undefined) return text(string, 'sval');
      const integer = child(body, 'ival');
      if (integer !== undefined) return String(number(integer, 'ival'));
      const float = child(body, 'fval');
      if (float !== undefined) return text(float, 'fval');
      const boolean = child(body, 'boolval');
      if (boolean !== undefined) return String(flag(boolean, 'boolval'));
      return undefined;
    }
    case 'TypeName':
      return strings(list(body, 'names'))?.at(-1);
    default:
      return undefined;
  }
}
