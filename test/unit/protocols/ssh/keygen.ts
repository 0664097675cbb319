/** The real `ssh-keygen`, in a directory of its own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Keys and certificates made by OpenSSH. */
export class Keygen {
  readonly directory = mkdtempSync(join(tmpdir(), 'sallyport-keygen-'));

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Runs ssh-keygen in the directory. Returns what it printed. @throws when it fails. */
  run(...args: readonly string[]): string {
    const env = { ...process.env, TZ: 'UTC', LC_ALL: 'C' };
    return execFileSync('ssh-keygen', args, { cwd: this.directory, encoding: 'utf8', env, stdio: 'pipe' });
  }

  /** Makes a key pair: `name` and `name.pub`. Returns the bytes of the public key. */
  key(name: string, ...kind: readonly string[]): Buffer {
    this.run('-q', '-N', '', '-C', name, '-f', name, ...kind);
    return this.blob(`${name}.pub`);
  }

  /** Has `authority` certify the key `name`. Returns the certificate's bytes. */
  certify(authority: string, name: string, ...args: readonly string[]): Buffer {
    this.run('-q', '-s', authority, ...args, `${name}.pub`);
    return this.blob(`${name}-cert.pub`);
  }

  text(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  blob(name: string): Buffer {
    return Buffer.from(this.text(name).split(' ')[1] ?? '', 'base64');
  }

  /** What `ssh-keygen -L` says of a certificate, its lines trimmed. */
  describe(line: string): readonly string[] {
    writeFileSync(this.path('described-cert.pub'), `${line}\n`);
    return this.run('-L', '-f', 'described-cert.pub')
      .split('\n')
      .map((text) => text.trim());
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
