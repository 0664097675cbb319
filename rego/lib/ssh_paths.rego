# METADATA
# title: Where agents may read and write on a host
# description: |
#   data.config.ssh.paths: `read`, `write`, and `refuse` inside of them. Nothing is read or written that they do not name;
#   names of files may be listed anywhere but in what is refused. What a directory contains is not known here, so one
#   that contains something refused is not read as a whole.
package sallyport.lib.ssh_paths

import data.sallyport.lib.ssh
import data.sallyport.lib.ssh_tools

# What is done to a file is one of what may be done there.
allowed(path, "read") if {
	ssh.canonical(path)
	some prefix in data.config.ssh.paths.read
	ssh.below(path, prefix)
	not withheld(path)
}

allowed(path, access) if {
	access in ssh.changing
	ssh.canonical(path)
	some prefix in data.config.ssh.paths.write
	ssh.below(path, prefix)
	not withheld(path)
}

allowed(path, "list") if {
	ssh.canonical(path)
	not refused(path)
}

# A program of the system's own.
allowed(path, "execute") if {
	some directory in ssh_tools.directories
	startswith(path, directory)
	ssh.canonical(path)
}

allowed(path, access) if {
	path in ssh_tools.devices
	access in {"read", "write"}
}

refused(path) if {
	some prefix in data.config.ssh.paths.refuse
	ssh.below(path, prefix)
}

encloses_refused(path) if {
	some prefix in data.config.ssh.paths.refuse
	ssh.below(prefix, path)
}

# What an author may set right, for messages.
remedy := {
	"read": "Ask for it to be added to ssh.paths.read.",
	"write": "Ask for it to be added to ssh.paths.write.",
	"delete": "Ask for it to be added to ssh.paths.write.",
	"metadata": "Ask for it to be added to ssh.paths.write.",
	"list": "Give an absolute path.",
	"execute": "Run programs of the system's own.",
}

verb := {
	"read": "read",
	"write": "write",
	"delete": "delete",
	"metadata": "change",
	"list": "list",
	"execute": "execute",
}

# Of an access that is not known, too: without a message its refusal would be undefined.
message(path, access) := concat("", ["Agents may not ", object.get(verb, access, "use"), " ", path, ". ", advice(path, access)])

advice(path, access) := "It is in ssh.paths.refuse, or contains what is." if {
	withheld(path)
} else := object.get(remedy, access, "")

withheld(path) if refused(path)

withheld(path) if encloses_refused(path)
