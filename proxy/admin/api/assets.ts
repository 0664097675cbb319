import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** One file of the console. */
export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzip: Buffer;
  /** Its name holds a digest of its content. */
  readonly immutable: boolean;
}

/** The files of the console by their paths; they are few and small, and stay in memory. */
export type Assets = ReadonlyMap<string, Asset>;

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** Reads every file of a folder that has a type the console uses. @throws when there is no page among them. */
export async function readAssets(folder: string): Promise<Assets> {
  const assets = new Map<string, Asset>();
  for (const name of await readdir(folder)) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const immutable = /-[0-9A-Z]{8}\.\w+$/.test(name);
    const bytes = await readFile(join(folder, name));
    assets.set(`/${name}`, { type, bytes, gzip: gzipSync(bytes), immutable });
  }
  if (!assets.has('/index.html')) throw new Error(`console: ${folder} has no index.html`);
  return assets;
}
