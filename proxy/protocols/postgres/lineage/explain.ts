/**
 * EXPLAIN: the statement inside is planned, and with ANALYZE it runs.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, constantText, emptyAst, kindOf, list, text } from './ast.ts';
import { type Meaning, meaningOf, type Place } from './statements.ts';
import { combine, nothing, tainted } from './value.ts';

/** Options that change what the plan shows, not what happens. */
const harmless: ReadonlySet<string> = new Set([
  'verbose',
  'costs',
  'settings',
  'buffers',
  'wal',
  'timing',
  'summary',
  'memory',
  'format',
  'generic_plan',
  'serialize',
]);

/** A plan shows constants, estimates and counts: its text is derived from every column the statement touches. */
export function explain(a: Analysis, body: Ast, place: Place): Meaning {
  a.step(body);
  let analyze = false;
  for (const node of list(body, 'options')) {
    const option = bodyOf(node);
    const name = text(option, 'defname');
    if (name === 'analyze') analyze = isOn(child(option, 'arg'));
    else if (!harmless.has(name)) a.incomplete.add('unknown_option');
  }
  const node = child(body, 'query') ?? emptyAst;
  if (kindOf(node) === 'ExecuteStmt') a.incomplete.add('unknown_prepared_statement');
  const inner = meaningOf(a, node, place);
  const touched = new Set([...a.relations.values()].flatMap((record) => [...record.named, ...record.uses.keys()]));
  const plan = tainted(
    nothing,
    touched,
    [...(inner.output ?? [])].some((field) => field.value.unknown),
  );
  a.use(plan, 'derived');
  return {
    verb: analyze ? 'explain_analyze' : 'explain',
    effects: analyze ? [...inner.effects, 'explain'] : ['explain', ...inner.effects],
    output: [{ name: 'QUERY PLAN', value: combine([plan], 25) }],
    ...(inner.opaque === undefined ? {} : { opaque: inner.opaque }),
  };
}

/** A boolean option: absent value means on; what does not read as off is taken for on. */
function isOn(argument: Ast | undefined): boolean {
  if (argument === undefined) return true;
  const value = constantText(argument)?.toLowerCase() ?? '';
  return !(value.startsWith('f') || value === 'off' || value === '0' || value === 'no' || value === 'n');
}
