/** Real shells, and programs in their path that only write down how they were called. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A shell by the words that start it with a text as its next one. */
export interface RealShell {
  readonly name: string;
  readonly words: readonly string[];
}

const candidates: readonly RealShell[] = [
  { name: 'bash', words: ['bash', '--noprofile', '--norc', '-c'] },
  { name: 'dash', words: ['dash', '-c'] },
  { name: 'busybox', words: ['busybox', 'sh', '-c'] },
  { name: 'zsh', words: ['zsh', '-f', '-c'] },
];

const directories = ['/bin', '/usr/bin', '/usr/local/bin'];
const locate = (program: string): string | undefined =>
  directories.map((directory) => join(directory, program)).find((path) => existsSync(path));

/** The shells of this machine, by absolute paths. */
export const realShells: readonly RealShell[] = candidates.flatMap(({ name, words }) => {
  const path = locate(words[0] ?? '');
  return path === undefined ? [] : [{ name, words: [path, ...words.slice(1)] }];
});

/** What one program was called with, and for `cat` what came into it. */
export interface Execution {
  readonly argv: readonly string[];
  readonly input: string | undefined;
}

const stub = `#!/bin/sh
log=$TRACE.$$
{ printf '%s\\0' "\${0##*/}" "$@"; printf '\\1\\0'; } > "$log"
case $0 in */cat) /bin/cat > "$log.in" ;; esac
`;

/** A directory of stand-ins, and the running of texts among them. */
export class Stage {
  readonly #root = mkdtempSync(join(tmpdir(), 'shells-'));

  /** @param stubs names that are written down; @param real programs that are themselves */
  constructor(stubs: readonly string[], real: readonly string[]) {
    mkdirSync(join(this.#root, 'bin'));
    mkdirSync(join(this.#root, 'home'));
    for (const name of stubs) {
      const path = join(this.#root, 'bin', name);
      writeFileSync(path, stub);
      chmodSync(path, 0o755);
    }
    for (const name of real) {
      const path = locate(name);
      if (path !== undefined && !existsSync(join(this.#root, 'bin', name)))
        symlinkSync(path, join(this.#root, 'bin', name));
    }
  }

  get home(): string {
    return join(this.#root, 'home');
  }

  /** Runs every text in one shell, each in an empty home, and tells what each of them executed, sorted. */
  run(shell: RealShell, texts: readonly string[]): readonly (readonly Execution[])[] {
    const trace = join(this.#root, `trace-${shell.name}`);
    mkdirSync(trace, { recursive: true });
    const script = texts.map((text, index) => {
      const words = [...shell.words, text].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
      return `cd ${this.home} && TRACE=${trace}/${index} ${words} </dev/null >/dev/null 2>&1`;
    });
    spawnSync('/bin/sh', ['-c', script.join('\n')], {
      env: { PATH: join(this.#root, 'bin'), HOME: this.home, LC_ALL: 'C.UTF-8' },
      timeout: 60_000,
    });
    const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
    const listed = spawnSync('/bin/ls', [trace], { encoding: 'utf8' }).stdout.split('\n');
    const executions = texts.map((_, index) =>
      listed
        .filter((name) => name.startsWith(`${index}.`) && !name.endsWith('.in'))
        .map((name) => ({
          argv: (read(join(trace, name)) ?? '').split('\0').slice(0, -2),
          input: read(join(trace, `${name}.in`)),
        })),
    );
    rmSync(trace, { recursive: true });
    return executions.map((list) =>
      list.toSorted((a, b) => (JSON.stringify(a.argv) < JSON.stringify(b.argv) ? -1 : 1)),
    );
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
