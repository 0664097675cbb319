import { expect, test } from '@jest/globals';
import { createShellClassifier, readToolSpecs } from '../../../../../proxy/protocols/ssh/shell/index.ts';
import { parsers } from '../../../../../proxy/protocols/ssh/shell/parsers/index.ts';
import { builtinTools } from '../../../../../proxy/protocols/ssh/shell/tools/index.ts';
import { authorRoles, type ToolSpec } from '../../../../../proxy/protocols/ssh/shell/tools/spec.ts';
import { place } from './support.ts';

const tools = readToolSpecs({
  deploy: {
    flags: '-v --dry-run',
    values: { '-c --config': 'read', '--color?': 'text', '-h --host': 'host' },
    subcommands: {
      status: { operands: 'text...' },
      apply: { operands: 'input output?', operandsWith: { '--all': '' }, flags: '--all', tree: '*' },
      run: { operands: 'command', optionsFirst: true, runAs: 'deploy' },
    },
    defaultPort: 8443,
  },
  ls: { operands: '' },
});

function classify(text: string) {
  const result = createShellClassifier({ tools }).classify(text, place);
  if ('fault' in result) throw new Error(result.fault.code);
  return result;
}

test('an author teaches the classifier a tool', () => {
  expect(classify('deploy -v -c /c --color=auto --host h status a b')).toMatchObject({
    incomplete: [],
    commands: [{ name: 'deploy', known: true, subcommands: ['status'], files: [{ path: '/c', access: 'read' }] }],
    destinations: [{ host: 'h', port: 8443, via: 'deploy', dynamic: false }],
  });
  expect(classify('deploy apply - x').commands[0]?.files).toEqual([
    { path: '/home/app/x', access: 'write', tree: true },
  ]);
  expect(classify('deploy apply --all').incomplete).toEqual([]);
  expect(classify('deploy run -- rm -rf /x').commands).toMatchObject([
    { name: 'rm', wrappers: ['deploy'], runAs: 'deploy', files: [{ path: '/x', access: 'delete', tree: true }] },
  ]);
});

test('what the author did not say stays unknown', () => {
  expect(classify('deploy').incomplete).toEqual(['unknown_subcommand']);
  expect(classify('deploy frob').incomplete).toEqual(['unknown_subcommand']);
  expect(classify('deploy constructor').incomplete).toEqual(['unknown_subcommand']);
  expect(classify('deploy -x status').incomplete).toEqual(['unknown_option']);
  expect(classify('deploy -c').incomplete).toContain('unknown_option');
  expect(classify('deploy apply').incomplete).toEqual(['unknown_operand']);
  expect(classify('deploy apply a b c').incomplete).toEqual(['unknown_operand']);
  expect(classify('deploy apply --all x').incomplete).toEqual(['unknown_operand']);
});

test('an author’s table takes the place of the built-in one', () => {
  expect(classify('ls').incomplete).toEqual([]);
  expect(classify('ls -l').incomplete).toEqual(['unknown_option']);
});

test.each([
  [null],
  [[]],
  ['x'],
  [{ 'a b': {} }],
  [{ '../x': {} }],
  [{ x: null }],
  [{ x: { frob: 1 } }],
  [{ x: { parser: 'find' } }],
  [{ x: { flags: 1 } }],
  [{ x: { values: { '-a': 'frob' } } }],
  [{ x: { operands: 'frob...' } }],
  [{ x: { operands: 'read... write...' } }],
  [{ x: { optionsFirst: 'yes' } }],
  [{ x: { defaultPort: 0 } }],
  [{ x: { subcommands: { y: { frob: 1 } } } }],
  [{ x: { here: 'constructor' } }],
])('refuses %j', (json) => {
  expect(() => readToolSpecs(json)).toThrow(expect.objectContaining({ code: 'policy_error' }));
});

test('no tables are no tools', () => {
  expect(readToolSpecs(undefined).size).toBe(0);
});

test('the built-in tables are well-formed', () => {
  const roles = new Set<string>(authorRoles);
  const wrong: string[] = [];
  const check = (place: string, spec: ToolSpec): void => {
    const lines = [spec.operands ?? '', ...Object.values(spec.operandsWith ?? {})];
    const used = lines.flatMap((line) => line.split(' ')).map((word) => word.replace(/\.\.\.$|\?$/, ''));
    for (const role of [...used, ...Object.values(spec.values ?? {})]) {
      if (role !== '' && !roles.has(role)) wrong.push(`${place}: ${role}`);
    }
    const names = [
      ...(spec.flags ?? '').split(/\s+/),
      ...Object.keys(spec.values ?? {}).flatMap((key) => key.split(/\s+/)),
    ];
    for (const name of names)
      if (!/^(?:-[\w]|--[\w][\w.=-]*|-[\w]{2,})?\??$/.test(name)) wrong.push(`${place}: ${name}`);
    // A cluster such as `-nv` would be read as two options.
    if (!spec.singleDash) for (const name of names) if (/^-\w{2,}\??$/.test(name)) wrong.push(`${place}: ${name}`);
    if (spec.parser !== undefined && !parsers.has(spec.parser)) wrong.push(`${place}: ${spec.parser}`);
    for (const [name, sub] of Object.entries(spec.subcommands ?? {})) check(`${place} ${name}`, sub);
  };
  for (const [name, spec] of builtinTools) check(name, spec);
  expect(wrong).toEqual([]);
});
