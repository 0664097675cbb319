/**
 * The language in which tools are described to the classifier: by the tables here, and by authors through
 * `data.config.ssh.tools`. README.md explains it by example.
 */

/**
 * What a word is to a tool. `input` and `output` are `read` and `write` with `-` for a standard stream; `script` is
 * shell text, `code` any other program and opaque; `command` is this word and all that follow.
 */
export const authorRoles = [
  'text',
  'number',
  'input',
  'output',
  'read',
  'write',
  'read_write',
  'delete',
  'list',
  'metadata',
  'execute',
  'directory',
  'user',
  'assignment',
  'command',
  'script',
  'script_words',
  'remote_script',
  'code',
  'sed',
  'awk',
  'jq',
  'host',
  'jump',
  'proxy',
  'port',
  'url',
  'remote_read',
  'remote_write',
  'git_remote',
  'data',
  'ssh_option',
  'rsh',
] as const;

/** One of {@link authorRoles}. */
export type Role = (typeof authorRoles)[number];

/** One tool, or one subcommand of a tool. */
export interface ToolSpec {
  /** Options without a value: `-a -l --all`. */
  readonly flags?: string;
  /** Options with a value, by their names; a name that ends in `?` takes one only attached (`--color=auto`). */
  readonly values?: Readonly<Record<string, Role>>;
  /** Operands as a usage line: `text input...`; `?` marks one that may be absent. None when it is left out. */
  readonly operands?: string;
  /** Other usage lines, by the options that call for them. */
  readonly operandsWith?: Readonly<Record<string, string>>;
  /** What the working directory is to the tool when there is no operand. */
  readonly here?: Role;
  /** Options that make it go down directories; `*` when it always does. */
  readonly tree?: string;
  /** Options end at the first operand, as they do for tools that run another one. */
  readonly optionsFirst?: boolean;
  /** `-5` is an option. */
  readonly digits?: boolean;
  /** Long options begin with one dash: `-timeout 5`. */
  readonly singleDash?: boolean;
  readonly subcommands?: Readonly<Record<string, ToolSpec>>;
  /** A word for what of it can never be seen. */
  readonly incomplete?: string;
  /** Words for what certain options hide, by the options. */
  readonly incompleteWith?: Readonly<Record<string, string>>;
  /** It shows its output in a pager when it has a terminal. */
  readonly pager?: boolean;
  /** The port of its destinations unless an option says otherwise. */
  readonly defaultPort?: number;
  /** It may be led on to other hosts: redirects, mirrors. Options that keep it from that, or `*` for none. */
  readonly follows?: string;
  /** Words such as `LANG=C` may stand in front of its command. */
  readonly assignments?: boolean;
  /** The user its command runs as unless an option says otherwise. */
  readonly runAs?: string;
  /** Its command runs in another directory, environment or machine. */
  readonly elsewhere?: boolean;
  /** It asks for, or becomes, a shell of its own when it has no command. */
  readonly shellWithout?: boolean;
  /** Options and operands are read by code in `parsers/`, by this name. Not for authors. */
  readonly parser?: string;
}
