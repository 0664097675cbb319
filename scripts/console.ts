/**
 * Builds the web page of the console from `proxy/admin/console` into `bundles/console`, or into the folder that is named.
 *   node scripts/console.ts [FOLDER]
 * Names hold digests of contents, so that browsers may keep the files. What is there before is removed.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const source = join(root, 'proxy/admin/console');

/** Builds into a folder. @throws with what esbuild says. */
export async function buildConsole(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) if (name !== 'README.md') await rm(join(folder, name));
  const { metafile } = await build({
    entryPoints: [join(source, 'main.tsx')],
    absWorkingDir: root,
    outdir: folder,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    target: ['chrome120', 'firefox121', 'safari17.2'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const outputs = Object.entries(metafile.outputs);
  const [script] = outputs.filter(([, { entryPoint }]) => entryPoint !== undefined);
  const page = await readFile(join(source, 'index.html'), 'utf8');
  const names = { script: basename(script?.[0] ?? ''), style: basename(script?.[1].cssBundle ?? '') };
  await writeFile(
    join(folder, 'index.html'),
    page.replace('{{script}}', names.script).replace('{{style}}', names.style),
  );
  await writeFile(join(folder, 'icon.svg'), await readFile(join(source, 'icon.svg')));
  await writeFile(
    join(folder, 'licenses.txt'),
    await licenses(outputs.flatMap(([, { inputs }]) => Object.keys(inputs))),
  );
}

/** The licence of every package that something was taken from. */
async function licenses(inputs: readonly string[]): Promise<string> {
  const found = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? '');
  const packages = [...new Set(found.filter((name) => name !== ''))].sort();
  const texts = packages.map(async (name) => {
    const names = await readdir(join(root, 'node_modules', name));
    const [file] = names.filter((one) => /^licen[cs]e/i.test(one));
    const manifest: { license?: string } = JSON.parse(
      await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8'),
    );
    const text =
      file === undefined ? `${manifest.license}\n` : await readFile(join(root, 'node_modules', name, file), 'utf8');
    return `${name}\n\n${text.trimEnd()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`);
}

if (process.argv[1] === import.meta.filename) await buildConsole(process.argv[2] ?? join(root, 'bundles/console'));
