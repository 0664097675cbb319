/**
 * The second opinion: after a statement was analysed, an independent walk over its tree checks that every node
 * that could mean something was accounted for. A walker that forgets a field shows here, not as a bypass.
 */
import type { Analysis } from './analysis.ts';
import { isAst } from './ast.ts';

/** Nodes that hold a value or a name for the node around them, which is what accounts for them. */
const carried: ReadonlySet<string> = new Set([
  'String',
  'Integer',
  'Float',
  'Boolean',
  'BitString',
  'List',
  'A_Star',
  'DefElem',
  'RoleSpec',
]);

/** True when every node under `part` was seen. */
export function isCovered(a: Analysis, part: unknown): boolean {
  if (Array.isArray(part)) return part.every((each) => isCovered(a, each));
  if (!isAst(part)) return true;
  for (const field in part) {
    const value = part[field];
    if (typeof value !== 'object' || value === null) continue;
    // Kinds of nodes start with a capital letter, fields do not.
    const first = field.charCodeAt(0);
    if (first >= 65 && first <= 90 && isAst(value) && !carried.has(field) && !a.seen.has(value)) return false;
    if (!isCovered(a, value)) return false;
  }
  return true;
}

/** True when a tree is nested no deeper than `depthMax` levels of objects and arrays; keeps every later walk inside the stack. */
export function isShallow(part: unknown, depthMax: number): boolean {
  if (typeof part !== 'object' || part === null) return true;
  if (depthMax <= 0) return false;
  if (Array.isArray(part)) return part.every((each) => isShallow(each, depthMax - 1));
  if (!isAst(part)) return true;
  for (const field in part) if (!isShallow(part[field], depthMax - 1)) return false;
  return true;
}
