# METADATA
# title: Reading SSH operations
# description: |
#   Short names for what the classifier found. `commands`, `destinations`, `transfer`, `sftp` and `forward` are undefined
#   when the operation has none, the sets made from them are then empty. They are plain references, so that
#   `opa check --schema` sees through them.
package sallyport.lib.ssh

import data.sallyport.lib.ssh_tools

default is_ssh := false

is_ssh if input.resource.type == "host"

default is_exec := false

is_exec if {
	is_ssh
	input.action.name == "exec"
}

commands := input.action.properties.commands if is_ssh

destinations := input.action.properties.destinations if is_ssh

transfer := input.action.properties.transfer if is_ssh

sftp := input.action.properties.sftp if is_ssh

forward := input.action.properties.forward if is_ssh

names contains command.name if some command in commands

# What each command is run by, and as: `sudo`, `sh`, `xargs`.
wrappers contains wrapper if {
	some command in commands
	some wrapper in command.wrappers
}

# Files by what is done with them, each once: those of commands and redirections, of transfers and of SFTP.
read contains path if some [path, "read"] in uses

written contains path if {
	some [path, access] in uses
	access in changing
}

changing := {"write", "delete", "metadata"}

uses contains [file.path, file.access] if {
	some command in commands
	some file in command.files
}

uses contains [redirect.target, access] if {
	some command in commands
	some redirect in command.redirects
	some access in redirect_access[redirect.op]
}

redirect_access := {"read": ["read"], "write": ["write"], "append": ["write"], "read_write": ["read", "write"]}

uses contains [path, transfer_access[transfer.direction]] if some path in transfer.paths

transfer_access := {"upload": "write", "download": "read"}

uses contains [path, access] if {
	some access in sftp_access
	some member in ["path", "resolved"]
	path := sftp[member]
	path != ""
}

uses contains [path, access] if {
	some access in sftp_operations[sftp.operation].target
	some member in ["target", "target_resolved"]
	path := sftp[member]
	path != ""
}

# What an SFTP operation does to its path. An operation that is not listed here does nothing that a policy allows.
sftp_access contains access if some access in sftp_operations[sftp.operation].path

sftp_access contains "read" if {
	sftp.operation == "open"
	"read" in sftp.flags
}

sftp_access contains "write" if {
	sftp.operation == "open"
	some flag in sftp.flags
	flag != "read"
}

# A link makes what it leads to readable and writable under another name. The one extension that comes here copies.
sftp_operations := {
	"list": {"path": {"list"}, "target": set()},
	"stat": {"path": {"list"}, "target": set()},
	"read_link": {"path": {"list"}, "target": set()},
	"real_path": {"path": {"list"}, "target": set()},
	"set_attributes": {"path": {"metadata"}, "target": set()},
	"remove": {"path": {"delete"}, "target": set()},
	"rmdir": {"path": {"delete"}, "target": set()},
	"mkdir": {"path": {"write"}, "target": set()},
	"rename": {"path": {"write", "delete"}, "target": {"write"}},
	"link": {"path": {"read", "write"}, "target": {"write"}},
	"symlink": {"path": {"write"}, "target": {"read", "write"}},
	"extended": {"path": {"read"}, "target": {"write"}},
}

# Every path, and every word that could hold one, in parts: lower case, cut at what separates paths from other text
# (`--file=/a/b`, `if=/a`, `host:/a`, `@/a`, quotes), without empty parts and `.`. A line break stands between two of
# them. One list of everything: looking at each word by itself costs ten times as much.
parts := [part |
	some part in split(strings.replace_n(separators, lower(concat("/\n/", mentioned))), "/")
	not part in {"", "."}
] if is_ssh

separators := {
	"=": "/", ":": "/", ",": "/", ";": "/", "@": "/", "'": "/", "\"": "/", "`": "/", " ": "/", "\t": "/", "(": "/",
	")": "/", "{": "/", "}": "/", "<": "/", ">": "/", "|": "/", "\\": "/",
}

mentioned contains path if some [path, _] in uses

mentioned contains word if {
	some command in commands
	some word in command.argv
}

distinct_parts := {part | some part in parts} if is_ssh

# The same as one text, in which a path begins and ends with a slash: `/etc/shadow/`.
text := concat("", ["/", concat("/", parts), "/"]) if is_ssh

# One path as a text of that shape; the root is one slash.
slashed(path) := concat("", ["/", concat("/", named), "/"]) if {
	named := [part | some part in split(lower(path), "/"); not part in {"", "."}]
	count(named) > 0
} else := "/"

# A device that is no ordinary one, whatever the case it is written in.
raw_device(path) if {
	device := slashed(path)
	startswith(device, "/dev/")
	not trim_suffix(device, "/") in ssh_tools.devices
	not split(device, "/")[2] in {"fd", "shm", "tcp", "udp"}
}

# Absolute, and what it says: the rules on paths compare text.
canonical(path) if {
	startswith(path, "/")
	not contains(path, "//")
	whole := concat("", [path, "/"])
	not contains(whole, "/./")
	not contains(whole, "/../")
}

# Both as policies see paths; `prefix` may end in a slash.
below(path, prefix) if startswith(concat("", [path, "/"]), concat("", [trim_right(prefix, "/"), "/"]))

# A letter of an option word: `-rt` has `r` and `t`.
option_letter(word, letter) if {
	startswith(word, "-")
	not startswith(word, "--")
	contains(word, letter)
}

# The same of rsync's `-logDtpre.iLsfxC`: what stands behind the `e` tells of the client, and asks for nothing.
rsync_letter(word, letter) if {
	startswith(word, "-")
	not startswith(word, "--")
	contains(split(word, "e")[0], letter)
}
