/**
 * The shape of a query string: its syntax tree without constants and positions, hashed.
 */
import { createHash } from 'node:crypto';
import { isAst } from './ast.ts';

const skipped = /(^|_)(location|len|start|end)$|^version$/;

/**
 * Two texts with the same shape differ in constants, comments, white space and letter case alone.
 *
 * @returns 32 hexadecimal digits: half of a SHA-256.
 */
export function fingerprint(tree: unknown): string {
  const parts: string[] = [];
  write(tree, parts);
  return createHash('sha256').update(parts.join('')).digest('hex').slice(0, 32);
}

function write(part: unknown, parts: string[]): void {
  if (Array.isArray(part)) {
    writeList(part, parts);
  } else if (isAst(part)) {
    parts.push('{');
    for (const field in part) {
      if (skipped.test(field)) continue;
      parts.push(field, ':');
      if (field === 'A_Const' || field === 'payload') parts.push('?');
      else if (field === 'DefElem' && isSecret(part[field])) parts.push('?');
      else write(part[field], parts);
      parts.push(',');
    }
    parts.push('}');
  } else parts.push(JSON.stringify(part) ?? '');
}

/** A list of constants alone has one shape whatever its length: IN lists, rows of VALUES. */
function writeList(items: readonly unknown[], parts: string[]): void {
  parts.push('[');
  let before = '';
  for (const item of items) {
    const own: string[] = [];
    write(item, own);
    const text = own.join('');
    if (text !== before || !isConstant(item)) parts.push(text, ',');
    before = text;
  }
  parts.push(']');
}

function isConstant(item: unknown): boolean {
  if (!isAst(item)) return false;
  if ('A_Const' in item) return true;
  const inner = isAst(item.List) ? item.List.items : undefined;
  return Array.isArray(inner) && inner.every(isConstant);
}

/** A password must not be guessable from its hash. */
function isSecret(body: unknown): boolean {
  return isAst(body) && typeof body.defname === 'string' && /password/i.test(body.defname);
}
