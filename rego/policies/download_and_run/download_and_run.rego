# METADATA
# title: What was fetched or written is not run
# description: |
#   Nothing that an operation brings to the host, or writes there, is run by the same operation: neither through a pipe
#   nor by way of a file. What runs it in a later operation is judged by the allow-list, which names no such file.
package sallyport.policies.download_and_run

import data.sallyport.lib.ssh
import data.sallyport.lib.ssh_tools

# METADATA
# title: Refused
deny contains {"code": "download_run", "message": message} if {
	some downloader in ssh.names
	downloader in ssh_tools.downloaders
	some name in ssh.names
	name in running
	message := concat("", [
		"Agents may not run what they download (",
		downloader,
		", then ",
		running_as(name),
		"). Fetch it, have it looked at, and run it by itself.",
	])
}

deny contains {"code": "download_run", "message": message} if {
	some downloader in ssh.names
	downloader in ssh_tools.downloaders
	some command in ssh.commands
	makes_executable(command)
	message := concat("", ["Agents may not make executable what they download with ", downloader, "."])
}

deny contains {"code": "written_run", "message": message} if {
	some path in (fresh & run)
	message := concat("", ["Agents may not write ", path, " and run it."])
}

deny contains {"code": "written_run", "message": message} if {
	some command in ssh.commands
	makes_executable(command)
	some file in command.files
	file.path in fresh
	message := concat("", ["Agents may not write ", file.path, " and make it executable."])
}

# A command without a name is known only when it runs.
running := ssh_tools.interpreters | {""}

running_as(name) := "what it gives" if {
	name == ""
} else := name

fresh contains path if some [path, "write"] in ssh.uses

run contains path if some [path, "execute"] in ssh.uses

run contains command.path if some command in ssh.commands

# Read by what runs it: `sh x`, `. x`.
run contains file.path if {
	some command in ssh.commands
	command.name in ssh_tools.interpreters
	some file in command.files
	file.access == "read"
}

run contains redirect.target if {
	some command in ssh.commands
	command.name in ssh_tools.interpreters
	some redirect in command.redirects
	redirect.op == "read"
}

# `+x`, `u=rwx`, `755`; the odd digits execute.
makes_executable(command) if {
	command.name in {"chmod", "install"}
	some word in command.argv
	executes(trim_prefix(trim_prefix(word, "--mode="), "-m"))
}

# What `install` copies is executable unless it is told otherwise.
makes_executable(command) if command.name == "install"

executes(mode) if {
	mode != ""
	trim(mode, "01234567") == ""
	some odd in ["1", "3", "5", "7"]
	contains(mode, odd)
}

executes(mode) if {
	trim(lower(mode), "ugoarwxst,+-=") == ""
	contains(lower(mode), "x")
	some sign in ["+", "="]
	contains(mode, sign)
}
