import type { Mutant } from './mutant.ts';

const lineage = 'proxy/protocols/postgres/lineage';
const catalogTests = ['postgres-catalog'];
const masking = ['postgres-masking'];

/** What the catalog makes of a statement, and how columns are followed. */
export const catalog: readonly Mutant[] = [
  {
    name: 'triggers, defaults and checks of a written relation run functions',
    file: `${lineage}/relations.ts`,
    find: 'for (const hidden of each.hidden) a.call(hidden.name);',
    replace: '',
    tests: catalogTests,
    only: 'runs a function|still works',
  },
  {
    name: 'a foreign key takes a write along',
    file: `${lineage}/relations.ts`,
    find: 'for (const referencing of each.cascades) {',
    replace: 'for (const referencing of each.cascades.slice(1e9)) {',
    tests: catalogTests,
    only: 'reaches out',
  },
  {
    name: 'rules make a write something else',
    file: `${lineage}/relations.ts`,
    find: "if (each.hasRules) a.incomplete.add('rule_on_relation');",
    replace: '',
    tests: catalogTests,
    only: 'writes somewhere else',
  },
  {
    name: 'a write sets off what children and partitions set off',
    file: `${lineage}/relations.ts`,
    find: 'for (const each of [relation, ...descendants(relation)]) {',
    replace: 'for (const each of [relation, ...descendants(relation).slice(1e9)]) {',
    tests: catalogTests,
    only: 'reaches out|writes somewhere else',
  },
  {
    name: 'a type runs the functions of its text and checks',
    file: `${lineage}/types.ts`,
    find: 'for (const name of functionsOfType(a.snapshot, type)) a.call(name);',
    replace: '',
    tests: catalogTests,
    only: 'runs a function',
  },
  {
    name: 'a row type runs the functions of its fields',
    file: `${lineage}/types.ts`,
    find: 'for (const oid of [each.baseType, each.element, ...fields.map((field) => field.type)]) {',
    replace: 'for (const oid of [each.baseType, each.element, ...fields.map(() => 0)]) {',
    tests: catalogTests,
    only: 'runs a function',
  },
  {
    name: 'silent casts run functions',
    file: `${lineage}/types.ts`,
    find: 'for (const name of [...each.functions, ...implicitCastFunctions({ snapshot }, each.oid)]) found.add(name);',
    replace: 'for (const name of each.functions) found.add(name);',
    tests: catalogTests,
    only: 'runs a function',
  },
  {
    name: 'labels hold for partitions and children',
    file: `${lineage}/finish.ts`,
    find: 'const family = [...ancestors(relation), ...descendants(relation)].slice(0, relativesMax);',
    replace: 'const family = [...ancestors(relation), ...descendants(relation)].slice(1e9, relativesMax);',
    tests: masking,
    only: 'only selected',
  },
  {
    name: 'a condition uses the columns it tests',
    file: `${lineage}/conditions.ts`,
    find: "  const use = left === undefined ? 'predicate' : classify(a, body, left, rights, compared, lookups);",
    replace: "  const use = 'equality' as ReturnType<typeof classify>;",
    tests: masking,
    only: 'answers without being shown',
  },
  {
    name: 'only a constant is looked up',
    file: `${lineage}/conditions.ts`,
    find: "if (isColumn(a, left) && right.constant) return lookups ? 'equality' : 'predicate';",
    replace: "if (isColumn(a, left)) return 'equality';",
    tests: masking,
    only: 'answers without being shown',
  },
  {
    name: 'a value that is stored is a sink',
    file: `${lineage}/modify.ts`,
    find: "  a.use(value, 'sink');\n  const group",
    replace: '  const group',
    tests: masking,
    only: 'carried somewhere|only selected',
  },
];
