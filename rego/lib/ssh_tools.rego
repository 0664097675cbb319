# METADATA
# title: Programs on a host
# description: |
#   Which programs do no more than read, or do all that they do to files that the classifier names. A program that can be
#   made to run another one, by an option, by a file it reads or from its own prompt, is not among them: git runs what a
#   repository's configuration says, and less whatever is typed behind an exclamation mark.
package sallyport.lib.ssh_tools

# They show what they are given, and what the system says of itself. Not env: what is in an environment may be secret.
reading := {
	"[", "arch", "arp", "awk", "base64", "basename", "blkid", "bzcat", "cal", "cat", "cksum", "cmp", "column",
	"comm", "cut", "date", "df", "diff", "dirname", "dmesg", "du", "echo", "egrep", "expand", "expr", "false",
	"fgrep", "file", "find", "findmnt", "fmt", "fold", "free", "gawk", "getconf", "getent", "grep", "groups",
	"head", "hexdump", "hostname", "id", "ifconfig", "iostat", "ip", "join", "journalctl", "jq", "last", "locale",
	"ls", "lsblk", "lscpu", "lsmod", "lsof", "lspci", "lsusb", "mawk", "md5sum", "mpstat", "netstat", "nl", "nproc",
	"od", "paste", "pgrep", "pidof", "printf", "ps", "pstree", "pwd", "readlink", "realpath", "rev", "route", "sar",
	"sed", "seq", "sha1sum", "sha256sum", "sha512sum", "shuf", "sleep", "sort", "ss", "stat", "strings", "sum",
	"tac", "tail", "test", "top", "tr", "tree", "true", "tty", "type", "uname", "unexpand", "uniq", "uptime",
	"users", "vmstat", "w", "wc", "whereis", "which", "who", "whoami", "xxd", "xzcat", "zcat",
}

# The shell's own: where it stands, how it goes on, when it ends. The classifier follows them.
own := {
	":", "break", "cd", "command", "continue", "exit", "export", "set", "times", "trap", "umask", "wait",
}

# All they do is to the files they are given.
filing := {"cp", "dd", "mkdir", "mv", "rm", "rmdir", "tee", "touch"}

# By their first subcommand.
subcommands := {
	"docker": {"images", "info", "logs", "ps", "stats", "top", "version"},
	"podman": {"images", "info", "logs", "ps", "stats", "top", "version"},
	"systemctl": {
		"cat", "is-active", "is-enabled", "is-failed", "is-system-running", "list-dependencies", "list-jobs",
		"list-sockets", "list-timers", "list-unit-files", "list-units", "show", "status",
	},
}

# Words that make one of them do more than read, by how they begin.
beyond := {
	"date": ["-s", "--s"],
	"dmesg": ["-c", "-C", "-D", "-E", "-n", "--cl", "--read-c", "--console"],
	"hostname": ["-F", "-b", "--file", "--boot"],
	"journalctl": ["--vac", "--rot", "--fl", "--sy", "--relinq", "--smart", "--setup", "--update"],
	"sort": ["--comp"],
	"ss": ["-K", "--kill"],
}

# Where the system keeps its own programs. A name without a slash is looked for on the gateway's own search path.
directories := {"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"}

# They run another command, and change neither who it runs as nor on which machine.
wrappers := {
	"bash", "busybox", "command", "dash", "env", "eval", "exec", "find", "flock", "ionice", "nice", "nohup",
	"setsid", "sh", "stdbuf", "taskset", "time", "timeout", "toybox", "trap", "xargs",
}

# Devices that keep nothing and show nothing.
devices := {
	"/dev/full", "/dev/null", "/dev/random", "/dev/stderr", "/dev/stdin", "/dev/stdout", "/dev/tty", "/dev/urandom",
	"/dev/zero",
}

# They run what they read.
interpreters := {
	".", "ash", "bash", "csh", "dash", "deno", "eval", "fish", "java", "ksh", "lua", "node", "nodejs", "perl",
	"php", "pwsh", "python", "python2", "python3", "Rscript", "ruby", "sh", "source", "tclsh", "tcsh", "zsh",
}

# They bring files from elsewhere.
downloaders := {
	"aria2c", "axel", "curl", "fetch", "ftp", "http", "https", "lftp", "lynx", "nc", "ncat", "netcat", "rsync",
	"scp", "sftp", "socat", "tftp", "wget", "wget2", "xh",
}
