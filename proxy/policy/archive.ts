import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Keeps every bundle and data document that was ever active, each once, by the SHA-256 of its bytes. */
export class PolicyArchive {
  readonly directory: string;

  /** @param directory - made when the first one is kept */
  constructor(directory: string) {
    this.directory = directory;
  }

  /** Keeps a document and names it. @throws Error of the file system */
  keep(bytes: Uint8Array): string {
    const digest = createHash('sha256').update(bytes).digest('hex');
    const file = join(this.directory, digest);
    if (existsSync(file)) return digest;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return digest;
  }
}
