/** Which variables may be set, and to what, without changing which program runs or what it does. */

const plain = /^[\w.:@ -]*$/;

/** Harmless variables with the values that are harmless. A locale is one that reads ASCII as ASCII. */
const harmless: ReadonlyMap<string, RegExp> = new Map([
  ['TZ', /^[A-Za-z][\w+/-]*$/],
  ['TERM', /^(?:dumb|xterm|xterm-256color|vt100|linux|screen|tmux)$/],
  ['COLUMNS', /^\d{1,4}$/],
  ['LINES', /^\d{1,4}$/],
  ['NO_COLOR', plain],
  ['CLICOLOR', plain],
  ['DEBIAN_FRONTEND', /^noninteractive$/],
  ['SYSTEMD_COLORS', /^[01]$/],
  ['SYSTEMD_PAGER', /^(?:cat)?$/],
  ['SYSTEMD_LESS', /^$/],
  ['GIT_PAGER', /^cat$/],
  ['PAGER', /^cat$/],
  ['GIT_TERMINAL_PROMPT', /^0$/],
  ['PGCONNECT_TIMEOUT', /^\d{1,4}$/],
]);
const locale = /^(?:C|POSIX|[a-z]{2,3}_[A-Z]{2})?(?:\.(?:utf-?8|UTF-?8))?$/;

/**
 * @param name of a variable that commands would inherit
 * @param value it is set to
 * @returns whether every tool in the tables runs the same program and touches the same files with it
 */
export function isHarmlessVariable(name: string, value: string): boolean {
  if (/^(?:LANG|LANGUAGE|LC_[A-Z]+)$/.test(name)) return locale.test(value);
  return harmless.get(name)?.test(value) ?? false;
}

/**
 * Names that mean something to shells, loaders, interpreters or well-known tools. Setting one is never resolved, even
 * in a shell's own variable, because the host may have it exported already.
 */
const sensitive = new RegExp(
  `^(?:${[
    'PATH|IFS|ENV|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|CDPATH|MAIL.*|_|UID|EUID|GID|EGID|PPID|RANDOM|SRANDOM|SECONDS|LINENO',
    'OPT(?:IND|ARG|ERR)|PS[0-9]|PROMPT.*|RPROMPT.*|R?PS[0-9]|SHELLOPTS|BASH.*|ZDOTDIR|ZSH.*|FPATH|HIST.*|FCEDIT|FUNCNAME',
    'EPOCH.*|GLOB.*|TMOUT|TIMEFORMAT|EXECIGNORE|COMP_.*|COMPREPLY|DIRSTACK|GROUPS|HOST.*|MACHTYPE|OSTYPE|PIPESTATUS',
    'REPLY|READNULLCMD|NULLCMD|KEYTIMEOUT|MODULE_PATH|PSVAR|USERNAME|TTYIDLE|WATCH.*|WORDCHARS|argv|status|pipestatus',
    'path|fpath|cdpath|manpath|mailpath|module_path|psvar|fignore|watch|prompt|options|aliases|functions|commands|builtins',
    'dirstack|parameters|signals|modules|jobstates|jobtexts|jobdirs|nameddirs|userdirs|galiases|saliases|history|words|zsh.*',
    'LD_.*|DYLD_.*|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_.*|GLIBC_.*|RES_OPTIONS|LOCALDOMAIN|TMP|TMPDIR|TEMP',
    '.*PAGER|.*EDITOR|VISUAL|BROWSER|LESS.*|MORE|MANOPT|PYTHON.*|PERL.*|RUBY.*|NODE.*|NPM.*|npm_.*|JAVA.*|_JAVA.*|JDK.*',
    'GIT_.*|SSH_.*|SUDO_.*|GPG.*|GNUPG.*|RSYNC_.*|CVS.*|TAR_.*|TAPE|GREP_.*|GZIP|XZ_.*|BZIP.*|ZSTD_.*|POSIXLY_CORRECT',
    'KUBE.*|DOCKER.*|CONTAINER.*|PODMAN.*|AWS_.*|AZURE_.*|GOOGLE_.*|GCP_.*|CLOUDSDK.*|PG.*|MYSQL.*|REDIS.*|MONGO.*|VAULT_.*|HELM_.*|TF_.*',
    '.*_proxy|.*_PROXY|CURL_.*|WGET.*|SSL_.*|OPENSSL.*|REQUESTS_.*|MAKE.*|CC|CXX|LUA.*|PHP.*|GEM_.*|BUNDLE_.*|GO.*|CARGO.*',
    'XDG_.*|DBUS_.*|SYSTEMD_.*|DISPLAY|XAUTHORITY|TERM.*|TERMCAP|LANG|LANGUAGE|LC_.*|TZ.*|AWK.*|LS_.*|INPUTRC|NOTIFY_.*',
  ].join('|')})$`,
);

/**
 * @param name of a variable
 * @returns whether something else than the text at hand reads it
 */
export const isSensitiveVariable = (name: string): boolean => sensitive.test(name);
