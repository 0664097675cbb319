import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Mutant } from './mutant.ts';

const repository = join(import.meta.dirname, '../..');
const leftOut = new Set(['node_modules', '.git', '.tools', '.demo', 'dist', 'coverage']);

/** A copy of the repository whose sources may be broken. Its packages are a link to the original's. */
export interface Copy {
  readonly directory: string;
  /** Switches a defence off. @returns how to switch it on again. @throws when its text is not found exactly once. */
  apply(mutant: Mutant): Promise<() => Promise<void>>;
  remove(): Promise<void>;
}

/** Makes one in a temporary folder. */
export async function copyRepository(): Promise<Copy> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-mutants-'));
  await cp(repository, directory, {
    recursive: true,
    filter: (source) => !leftOut.has(relative(repository, source).split('/')[0] ?? ''),
  });
  await symlink(join(repository, 'node_modules'), join(directory, 'node_modules'), 'dir');
  return {
    directory,
    async apply(mutant) {
      const file = join(directory, mutant.file);
      const original = await readFile(file, 'utf8');
      const count = original.split(mutant.find).length - 1;
      if (count !== 1) throw new Error(`${mutant.file} holds the text of "${mutant.name}" ${count} times, not once`);
      // A function, so that `$` in the replacement means itself.
      await writeFile(
        file,
        original.replace(mutant.find, () => mutant.replace),
      );
      return () => writeFile(file, original);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
