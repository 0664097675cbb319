/**
 * What the classifier makes of a shell command: the words the rest of the SSH path, and policies, speak in.
 */

/** How a word of a command touches a file. `list` reads names only, `metadata` changes owner, mode, times or links. */
export type FileAccess = 'read' | 'write' | 'delete' | 'list' | 'metadata' | 'execute';

/** A file that a command names as such. */
export interface FileUse {
  /** Absolute and without `.`, `..` or doubled slashes when the working directory is known; else as written. */
  readonly path: string;
  readonly access: FileAccess;
  /** Everything below it as well: `rm -r`, `find`, `grep -r`. */
  readonly tree?: true;
}

/** A redirection. `here` covers here-documents and here-strings; `duplicate` is `2>&1` and `>&-`. */
export interface Redirect {
  readonly fd: number;
  readonly op: 'read' | 'write' | 'append' | 'read_write' | 'here' | 'duplicate';
  /** The file as in {@link FileUse}, the duplicated descriptor (`1`, `-`), or empty for `here`. */
  readonly target: string;
}

/** One simple command that would run, after all wrappers were peeled off it. */
export interface ShellCommand {
  /** The last part of the program's path: `rm` for `/bin/rm`. Empty when it is dynamic. */
  readonly name: string;
  /** The program as written. */
  readonly path: string;
  /** All words, the program first, after expansion and quote removal. A dynamic word stands as it was written. */
  readonly argv: readonly string[];
  /** Some word of it (a name, an argument, an assignment, a target) is known only when it runs. */
  readonly dynamic: boolean;
  /** Variables assigned for this command alone; by their names, because values may be secrets. */
  readonly assigned: readonly string[];
  readonly redirects: readonly Redirect[];
  /** What it is wrapped in, outermost first: `sudo`, `env`, `xargs`, `find`, `sh`, … */
  readonly wrappers: readonly string[];
  /** The user that wrappers make it run as; undefined for the login itself. */
  readonly runAs: string | undefined;
  /** The subcommands of tools that have them: `["remote", "add"]` for `git remote add`. */
  readonly subcommands: readonly string[];
  readonly files: readonly FileUse[];
  /** Its program, its options and what they mean are in the tables of tools. */
  readonly known: boolean;
}

/** Where a command would go next from the host. `dynamic` when it is known only when it runs. */
export interface Destination {
  /** Lower case, without brackets; empty when dynamic. */
  readonly host: string;
  /** 0 when the tool's own default is not known. */
  readonly port: number;
  /** The tool or mechanism: `ssh`, `scp`, `rsync`, `curl`, `nc`, `/dev/tcp`, `psql`, `kubectl`, `docker`, … */
  readonly via: string;
  readonly dynamic: boolean;
}

/** A file transfer by a program that speaks its own protocol over the channel. */
export interface Transfer {
  readonly protocol: 'scp' | 'rsync' | 'git';
  /** As the agent sees it: `upload` writes on the host. */
  readonly direction: 'upload' | 'download';
  readonly paths: readonly string[];
}

/** What became of one command text. */
export interface ShellClassification {
  readonly commands: readonly ShellCommand[];
  readonly destinations: readonly Destination[];
  /** Stable words for what is not accounted for, sorted, each once; empty when all of it is. README.md lists them. */
  readonly incomplete: readonly string[];
  /**
   * The same operation in a form that every POSIX shell reads alike: only words in single quotes, operators,
   * redirections and reserved words. Undefined when it is incomplete. One line unless a word of it has several, or
   * it has here-documents.
   */
  readonly canonical: string | undefined;
  /**
   * Set when the command is one shell that would read its script from standard input (`bash`, `sh -s -- a`): the
   * positional parameters of that script. The caller reads the script and classifies it in the command's place.
   */
  readonly script: { readonly parameters: readonly string[] } | undefined;
  readonly transfer: Transfer | undefined;
}

/** A text that is not looked at further: refused whatever policy says. The message quotes nothing of the text. */
export interface ShellFault {
  readonly code: 'operation_unparseable' | 'operation_too_large' | 'operation_malformed';
  readonly message: string;
}

/** What is known of the place where a command would run; all of it verified on the host, or absent. */
export interface ShellContext {
  /** Variables with the values that the gateway itself sets for the command (`HOME`, `USER`, `PATH`, …). */
  readonly variables: ReadonlyMap<string, string>;
  /** Where the command begins. Undefined when it is not known. */
  readonly cwd: string | undefined;
  /** `$1`, `$2`, … of a script. */
  readonly parameters: readonly string[];
  /** The command gets a terminal, on which some tools become interactive. */
  readonly pty?: boolean;
}
