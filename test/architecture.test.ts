/**
 * The rules of the code base, so that none of them lives in somebody's memory. A rule that has to give way
 * somewhere says so here, with the reason.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../proxy/config.ts';
import { limits } from '../proxy/core/limits.ts';

const root = join(import.meta.dirname, '..');
const skipped = new Set(['node_modules', '.git', '.tools', '.demo', 'dist', 'coverage']);

/** Paths of files below a folder, from the root. */
function files(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

const everything = files('.');
const sources = everything.filter((path) => /^proxy\/.*\.tsx?$/.test(path) && !path.endsWith('.d.ts'));
/** The page of the console: it runs in browsers, and what it is made of ends up in `bundles/console`. */
const inBrowser = (path: string) => path.startsWith('proxy/admin/console/');
const text = (path: string) => readFileSync(join(root, path), 'utf8');

/** What a file imports: packages by name, project files by their path from the root. */
function imports(path: string): string[] {
  const specifiers = text(path).matchAll(
    /^\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm,
  );
  return [...specifiers].map(([, fixed, dynamic]) => {
    const specifier = fixed ?? dynamic ?? '';
    return specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier;
  });
}

/** The part of the gateway that a file belongs to: `core`, `policy`, `protocols/postgres`, `main.ts`, … */
function part(path: string): string {
  const [, first = '', second = ''] = path.split('/');
  if (first === 'protocols') return second.endsWith('.ts') ? 'protocols' : `protocols/${second}`;
  return first === 'config.ts' ? 'config' : first;
}

describe('dependencies point inwards', () => {
  /** May a file of one part import a file of another? */
  function allowed(from: string, to: string): boolean {
    if (from === to || from === 'main.ts' || from === 'cli') return to !== 'cli' || from === 'cli';
    if (from === 'wiring') return to !== 'cli' && to !== 'main.ts';
    if (from === 'core') return false;
    if (to === 'core') return true;
    // The list of adapters: it knows each of them, and the part of the configuration that is theirs.
    return from === 'protocols' && (to.startsWith('protocols/') || to === 'config');
  }

  test.each(sources)('%s', (path) => {
    for (const imported of imports(path)) {
      if (imported.startsWith('proxy/')) {
        expect({ imported, allowed: allowed(part(path), part(imported)) }).toEqual({ imported, allowed: true });
      } else if (imported.startsWith('node:')) {
      } else {
        expect({ imported, core: part(path) === 'core' }).toEqual({ imported, core: false });
        expect(imported.startsWith('..')).toBe(false);
        expect(inBrowser(path) ? [...packages, ...bundled] : packages).toContain(
          imported
            .split('/')
            .slice(0, imported.startsWith('@') ? 2 : 1)
            .join('/'),
        );
      }
    }
  });

  const manifest: unknown = JSON.parse(text('package.json'));
  const packages =
    manifest !== null && typeof manifest === 'object' && 'dependencies' in manifest
      ? Object.keys(Object(manifest.dependencies))
      : [];

  const bundled = ['preact', 'asciinema-player'];

  test('the rule itself refuses what it must', () => {
    expect(allowed('core', 'policy')).toBe(false);
    expect(allowed('policy', 'audit')).toBe(false);
    expect(allowed('protocols/postgres', 'policy')).toBe(false);
    expect(allowed('protocols/postgres', 'protocols/ssh')).toBe(false);
    expect(allowed('audit', 'main.ts')).toBe(false);
    expect(allowed('main.ts', 'cli')).toBe(false);
    expect(allowed('wiring', 'main.ts')).toBe(false);
    expect(allowed('policy', 'wiring')).toBe(false);
    expect(allowed('admin', 'record')).toBe(false);
    expect(allowed('protocols/postgres', 'core')).toBe(true);
  });
});

test('only the gate can make a permit', () => {
  const claimants = sources.filter((path) => text(path).includes('claimPermitIssuer'));
  expect(claimants.toSorted()).toEqual(['proxy/core/gate.ts', 'proxy/core/permit.ts']);
});

test('core names no protocol in code', () => {
  const named = sources
    .filter((path) => part(path) === 'core')
    .filter((path) => /\b(postgres|sqlstate|ssh2?|sftp|http|mcp)\b/i.test(withoutComments(text(path))));
  expect(named).toEqual([]);
});

describe('what a reader relies on', () => {
  test.each(sources)('every export of %s says what it is', (path) => {
    const lines = text(path).split('\n');
    const silent = lines.flatMap((line, index) => {
      const exported =
        /^export (?:declare |abstract |async )*(?:function\*?|class|interface|type|const|let) (\w+)/.exec(line);
      // Constants one below the other share the comment above the first.
      let above = index - 1;
      while (/^export const .*;$/.test(lines[above] ?? '')) above--;
      return exported !== null && !/\*\/\s*$/.test(lines[above] ?? '') ? [exported[1]] : [];
    });
    expect(silent).toEqual([]);
  });

  /** Longer files, and why they are one idea all the same. */
  const long: Readonly<Record<string, string>> = {};

  test.each(sources)('%s is not past 400 lines', (path) => {
    if (!Object.hasOwn(long, path)) expect(text(path).split('\n').length - 1).toBeLessThanOrEqual(400);
  });

  const folders = [...new Set(everything.map((path) => dirname(path)))].filter(
    (folder) =>
      /^(proxy(\/[\w-]+)?|rego|scripts(\/[\w-]+)?|bundles|test|test\/support)$/.test(folder) ||
      /^proxy\/protocols\/[\w-]+$/.test(folder),
  );
  test.each(folders)('%s explains itself in a README', (folder) => {
    expect(existsSync(join(root, folder, 'README.md'))).toBe(true);
  });

  test('the README of the tests explains each of their folders', () => {
    const below = readdirSync(join(root, 'test'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(below.map(({ name }) => `\`${name}/\``).filter((name) => !text('test/README.md').includes(name))).toEqual(
      [],
    );
  });

  test.each(everything.filter((path) => path.endsWith('.md')))('the links of %s lead somewhere', (path) => {
    const links = [...text(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, link]) => link ?? '');
    expect(links.filter((link) => !existsSync(join(root, dirname(path), link)))).toEqual([]);
  });

  test('the configuration in the README is one', () => {
    const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(text('README.md')) ?? [];
    expect(parseConfig('/etc/sallyport/sallyport.yaml', yaml).listeners).toHaveLength(1);
  });

  test('every command of make that is written about exists', () => {
    const targets = new Set([...text('Makefile').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
    const written = everything
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) => [...text(path).matchAll(/(?:`|^)make ([a-z-]+)/gm)].map(([, name]) => name));
    expect(written.filter((name) => !targets.has(name))).toEqual([]);
  });

  test('the top level is what the design says', () => {
    const known = new Set(
      'package.json package-lock.json tsconfig.json tsconfig.check.json biome.json jest.config.js proxy rego bundles scripts test Makefile README.md LICENSE CHANGELOG.md'.split(
        ' ',
      ),
    );
    const top = readdirSync(root).filter((name) => !name.startsWith('.') && !skipped.has(name));
    expect(top.filter((name) => !known.has(name))).toEqual([]);
  });

  test('test/unit mirrors proxy', () => {
    const mirrored = everything
      .filter((path) => /^test\/unit\/.*\.test\.ts$/.test(path))
      .map((path) => path.split('/')[2]);
    const parts = new Set([...readdirSync(join(root, 'proxy')), 'rego', 'scripts']);
    expect([...new Set(mirrored)].filter((name) => !parts.has(name ?? ''))).toEqual([]);
  });
});

describe('safety', () => {
  test('every bound in limits.ts is used', () => {
    const others = everything
      .filter((path) => /^proxy\/.*\.ts$/.test(path) && !path.startsWith('proxy/core/limits'))
      .map(text)
      .join('\n');
    expect(Object.keys(limits).filter((name) => !new RegExp(`\\b${name}\\b`).test(others))).toEqual([]);
  });

  test('time and randomness are injected', () => {
    const clocks = sources.filter(
      (path) =>
        path !== 'proxy/core/clock.ts' &&
        part(path) !== 'cli' &&
        !inBrowser(path) &&
        /\bDate\.now\(|\bMath\.random\(|\bnew Date\(\)/.test(withoutComments(text(path))),
    );
    expect(clocks).toEqual([]);
  });

  test('metrics are made in one file', () => {
    const makers = sources.filter((path) => /\bnew (Counter|Gauge|Histogram|Summary)\b/.test(text(path)));
    expect(makers).toEqual(['proxy/metrics/registry.ts']);
  });

  test('the compiler and the linter are not silenced', () => {
    const directive = new RegExp(`@ts-${'ignore'}|@ts-${'nocheck'}|@ts-${'expect-error'}|\\bas ${'any'}(?! \\w)`);
    const unexplained = new RegExp(`biome-${'ignore'} [^:]*:?\\s*$`, 'm');
    const silenced = everything.filter(
      (path) => path.endsWith('.ts') && (directive.test(text(path)) || unexplained.test(text(path))),
    );
    expect(silenced).toEqual([]);
  });

  test('tests do not sleep', () => {
    const sleep = /setTimeout\((resolve|done|r)\b|timers\/promises/;
    const sleepers = everything.filter(
      (path) => path.startsWith('test/') && path.endsWith('.test.ts') && path !== self && sleep.test(text(path)),
    );
    expect(sleepers).toEqual([]);
  });
});

describe('the project speaks of itself alone', () => {
  const written = everything.filter((path) => /\.(ts|js|json|md|rego|ya?ml|sh)$|Makefile|run$|with-node$/.test(path));

  test('no path of somebody’s machine', () => {
    const machine = (names: readonly string[]) => new RegExp(`(^|[\\s"'\`(=:])/(${names.join('|')})/`, 'm');
    const ours = machine(['work', 'Users']);
    const homes = machine(['home', 'root']);
    // What guards the files of any host speaks of homes on it.
    const ofHosts = /^(rego|proxy\/protocols\/ssh|test\/bypass\/ssh|test\/unit\/(rego|protocols\/ssh))\b/;
    const somebodys = (path: string) => ours.test(text(path)) || (homes.test(text(path)) && !ofHosts.test(path));
    expect(written.filter((path) => path !== self && somebodys(path))).toEqual([]);
  });

  test('the lock names no registry', () => {
    expect(text('package-lock.json')).not.toMatch(/"resolved": "(?!node_modules)/);
  });
});

const self = relative(root, import.meta.filename);

/** The code without its comments, near enough for a search. */
function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}
