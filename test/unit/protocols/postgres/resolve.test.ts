import { describe, expect, test } from '@jest/globals';
import type { ClassifiedStatement, Control } from '../../../../proxy/protocols/postgres/classification.ts';
import { Names, type Portal, type PreparedStatement } from '../../../../proxy/protocols/postgres/names.ts';
import { noParameters } from '../../../../proxy/protocols/postgres/parameters.ts';
import { type NameScope, resolve, withParameterTypes } from '../../../../proxy/protocols/postgres/resolve.ts';
import { column, output, relation, statement } from './classified.ts';

function prepared(of: ClassifiedStatement): PreparedStatement {
  return {
    text: new Uint8Array(),
    by: 'parse',
    classification: { fingerprint: 'f', statements: [of], inertConstants: new Set() },
    places: undefined,
    statementText: undefined,
    catalogEpoch: 1,
    sessionEpoch: 1,
    parameterTypes: [],
    fields: undefined,
    describing: false,
    bytes: 1,
  };
}

function portal(of: ClassifiedStatement): Portal {
  const plain = { resultFormats: [], ...noParameters, fields: undefined, describing: false, rows: 0 };
  return { ...plain, prepared: prepared(of), hold: false, bytes: 1 };
}

function scope(more: Partial<NameScope> = {}): NameScope {
  return { statements: new Names(9, 999), portals: new Names(9, 999), group: 5, catalogDirty: false, ...more };
}

function settled<T extends { readonly bytes: number }>(name: string, value: T): Names<T> {
  const names = new Names<T>(9, 999);
  names.confirm(names.define(name, value, 1));
  return names;
}

const does = (control: Control, more: Partial<ClassifiedStatement> = {}) => statement({ control, ...more });
const reads = statement({
  relations: [relation('customers', { ssn: ['output'] })],
  functions: [{ schema: 'public', name: 'f', volatility: 'volatile' }],
  output: [output([column('customers', 'ssn')])],
  literals: [{ start: 1, end: 2, meets: [] }],
});
const executes = does({ type: 'execute', name: 's', arguments: [] }, { effects: ['utility'], output: undefined });
const fetches = does({ type: 'fetch', name: 'c', move: false }, { output: undefined });

function resolved(statements: readonly ClassifiedStatement[], of: NameScope) {
  const found = resolve({ fingerprint: 'f', statements, inertConstants: new Set() }, of);
  if (found === 'unsettled') throw new Error('unsettled');
  return found;
}

test('statements that name nothing are what they are, and stand alone', () => {
  const statements = [statement(), reads];
  expect(resolved(statements, scope())).toEqual({ statements, alone: true });
  expect(resolved(statements, scope()).statements).toBe(statements);
});

describe('an EXECUTE', () => {
  test('does what its statement does, and shows what that shows', () => {
    const { statements, alone } = resolved([executes], scope({ statements: settled('s', prepared(reads)) }));
    expect(alone).toBe(false);
    expect(statements[0]).toMatchObject({
      control: { type: 'execute' },
      effects: ['select', 'utility'],
      relations: reads.relations,
      functions: reads.functions,
      output: reads.output,
      incomplete: [],
    });
  });

  test('of a name that nobody made is not understood', () => {
    expect(resolved([executes], scope()).statements[0]?.incomplete).toEqual(['unknown_prepared_statement']);
  });

  test('of a name that another group may have changed waits', () => {
    const statements = settled('s', prepared(reads));
    statements.define('s', prepared(statement()), 4);
    expect(
      resolve({ fingerprint: 'f', statements: [executes], inertConstants: new Set() }, scope({ statements })),
    ).toBe('unsettled');
  });

  test('of what a statement before it in the string prepared is that', () => {
    const prepares = does({ type: 'prepare', name: 's', statement: reads });
    const old = settled('s', prepared(statement()));
    expect(resolved([prepares, executes], scope({ statements: old })).statements[1]?.relations).toEqual(
      reads.relations,
    );
  });

  test('of something with effects on the relay of its own is not understood', () => {
    for (const control of [
      { type: 'execute', name: 't', arguments: [] },
      { type: 'set', name: 'role', value: 'x', local: false },
      { type: 'discard', what: 'all' },
    ] as const) {
      const { statements } = resolved([executes], scope({ statements: settled('s', prepared(does(control))) }));
      expect(statements[0]?.incomplete).toEqual(['nested_execute']);
    }
  });

  test('has literals whose company nobody knows', () => {
    const given = { ...executes, literals: [{ start: 3, end: 4, meets: [] }] };
    const { statements } = resolved([given], scope({ statements: settled('s', prepared(reads)) }));
    expect(statements[0]?.literals).toEqual([{ start: 3, end: 4, meets: 'unknown' }]);
  });

  test('of a statement that was not understood is not understood either', () => {
    const odd = prepared({ ...reads, incomplete: ['why'], changesCatalog: true });
    expect(resolved([executes], scope({ statements: settled('s', odd) })).statements[0]).toMatchObject({
      incomplete: ['why'],
      changesCatalog: true,
    });
  });
});

describe('a FETCH', () => {
  test('shows what its cursor shows, a portal of Bind or one that DECLARE made', () => {
    const declared = { ...reads, control: { type: 'declare', name: 'c', hold: false } as const };
    expect(resolved([fetches], scope({ portals: settled('c', portal(reads)) })).statements[0]?.output).toEqual(
      reads.output,
    );
    expect(resolved([declared, fetches], scope()).statements[1]).toMatchObject({
      output: reads.output,
      incomplete: [],
    });
  });

  test('that only moves shows nothing, and touches the same', () => {
    const moves = does({ type: 'fetch', name: 'c', move: true });
    const { statements } = resolved([moves], scope({ portals: settled('c', portal(reads)) }));
    expect(statements[0]).toMatchObject({ output: undefined, relations: reads.relations });
  });

  test('from a cursor that nobody made is not understood, from one on its way it waits', () => {
    expect(resolved([fetches], scope()).statements[0]?.incomplete).toEqual(['unknown_cursor']);
    const portals = new Names<Portal>(9, 999);
    portals.unsettle('c');
    expect(resolve({ fingerprint: 'f', statements: [fetches], inertConstants: new Set() }, scope({ portals }))).toBe(
      'unsettled',
    );
  });
});

describe('behind DDL that the catalog does not show yet', () => {
  const ddl = statement({ changesCatalog: true });

  test('what names relations or functions is not understood', () => {
    for (const one of [reads, statement({ relations: reads.relations }), statement({ functions: reads.functions })]) {
      expect(resolved([one], scope({ catalogDirty: true })).statements[0]?.incomplete).toEqual([
        'catalog_changed_in_transaction',
      ]);
      expect(resolved([ddl, one], scope()).statements[1]?.incomplete).toEqual(['catalog_changed_in_transaction']);
    }
  });

  test('what names neither is, and so is what came before', () => {
    expect(resolved([reads, ddl, statement()], scope()).statements.map(({ incomplete }) => incomplete)).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('facts are not shared with those of a clean catalog', () => {
    expect(resolved([reads], scope({ catalogDirty: true })).alone).toBe(false);
  });
});

describe('types of parameters', () => {
  const plain = resolved([reads], scope());
  const uses = [{ schema: 'public', name: 'check', volatility: 'volatile' }] as const;

  test('that came with the server, or run nothing, change nothing', () => {
    expect(withParameterTypes(plain, [0, 23, 16_383], () => uses)).toBe(plain);
    expect(withParameterTypes(plain, [16_384], () => [])).toBe(plain);
  });

  test('of somebody bring the functions they run', () => {
    const found = withParameterTypes(plain, [23, 20_000], (oid) => (oid === 20_000 ? uses : undefined));
    expect(found.alone).toBe(false);
    expect(found.statements[0]).toMatchObject({ functions: [...reads.functions, ...uses], incomplete: [] });
  });

  test('that nobody knows make the statement not understood', () => {
    const found = withParameterTypes(plain, [4_000_000_000], () => undefined);
    expect(found.statements[0]?.incomplete).toEqual(['unknown_parameter_type']);
  });
});
