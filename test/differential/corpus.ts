/**
 * PostgreSQL's own regression scripts, out of a package that carries them: the source distribution of pglast on
 * PyPI, which has libpg_query's copy for PostgreSQL 18. Pinned by version and hash, fetched by pip, kept in a cache.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const version = '8.8';
const sha256 = 'ff9998ec6bac4f30f84db6b6edb28a0fb03b1eda5c8ad211ab8362f5a08b833b';
const archive = `pglast-${version}.tar.gz`;
const folderInArchive = `pglast-${version}/libpg_query/test/sql/postgres_regress`;
const cache = fileURLToPath(new URL(`../../node_modules/.cache/sallyport/regress-${version}`, import.meta.url));

/** A script and its name, without the extension. */
export interface Script {
  readonly name: string;
  readonly text: string;
}

/** Scripts whose objects others use, in the order in which PostgreSQL's schedule runs them. */
const first = [
  'test_setup',
  'create_index',
  'create_misc',
  'create_view',
  'create_function_sql',
  'create_type',
  'create_operator',
  'create_table',
  'create_aggregate',
];

/** All scripts, those that others need first. Takes minutes the first time, where pip builds nothing but must look. */
export async function regressionScripts(): Promise<readonly Script[]> {
  if (!existsSync(cache)) await fetchScripts();
  const names = (await readdir(cache)).filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -4));
  const ordered = [...first, ...names.filter((name) => !first.includes(name)).sort()];
  return Promise.all(ordered.map(async (name) => ({ name, text: await readFile(join(cache, `${name}.sql`), 'utf8') })));
}

async function fetchScripts(): Promise<void> {
  await mkdir(join(cache, '..'), { recursive: true });
  const folder = await mkdtemp(`${cache}-`);
  try {
    const wanted = ['download', `pglast==${version}`, '--no-binary', ':all:', '--no-deps', '--quiet', '-d', folder];
    await run('pip', wanted, { timeout: 600_000 }).catch(() => run('pip3', wanted, { timeout: 600_000 }));
    const bytes = await readFile(join(folder, archive));
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== sha256) throw new Error(`${archive} is not the pinned one: sha256 ${found}`);
    await run('tar', ['-xzf', join(folder, archive), '-C', folder, folderInArchive]);
    await rename(join(folder, folderInArchive), cache);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
