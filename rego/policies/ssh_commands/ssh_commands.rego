# METADATA
# title: Commands by allow-list
# description: |
#   An agent may run what the classifier accounts for when every command in it is harmless, or named in
#   data.config.ssh.commands, and touches only files that data.config.ssh.paths lets it. The same for files that rsync,
#   scp and git carry. Restarting a service waits for approval.
package sallyport.policies.ssh_commands

import data.sallyport.lib.ssh
import data.sallyport.lib.ssh_destinations
import data.sallyport.lib.ssh_paths
import data.sallyport.lib.ssh_tools

# METADATA
# title: Allowed
allow if {
	judged
	input.context.complete == true
	count(ssh.commands) > 0
	every command in ssh.commands {
		as_the_login(command)
	}
	every destination in ssh.destinations {
		ssh_destinations.may_reach(destination)
	}
	count(refused_commands) == 0
	count(refused_uses) == 0
	count(deny) == 0
}

judged if {
	ssh.is_exec
	input.subject.type == "agent"
	not input.action.properties.probe
}

# METADATA
# title: Refused
# description: Each condition is one for being allowed; what is missing or of another shape does not meet it.
deny contains {"code": "command_refused", "message": message} if {
	some command in refused_commands
	message := concat("", ["Agents may not run ", shown(command), advice(command)])
}

deny contains {"code": "wrapper_refused", "message": message} if {
	judged
	some wrapper in ssh.wrappers
	not wrapper in ssh_tools.wrappers
	message := concat("", ["Agents may not run commands by way of ", wrapper, "."])
}

deny contains {"code": "shell_unverified", "message": message} if {
	judged
	not verified
	message := "The login's shell could not be verified, so that it is not known how it reads commands."
}

deny contains {"code": "path_refused", "message": ssh_paths.message(path, access)} if {
	some [path, access] in refused_uses
}

verified if input.resource.properties.shell in {"bash", "sh"}

# METADATA
# title: Waits for approval
# description: |
#   By whoever looks after the machine. In one policy with the allow above, so that neither is in force without the other.
require_approval contains {
	"code": "service_restart",
	"message": "Restarting or reloading a service needs approval.",
	"access_request": {"groups": ["sre"], "quorum": 1, "ttl_seconds": 900, "uses": 1, "reason_required": true},
} if {
	judged
	some command in ssh.commands
	restarts(command)
}

refused_commands contains command if {
	judged
	some command in ssh.commands
	not acceptable(command)
}

refused_uses contains [path, access] if {
	judged
	some [path, access] in ssh.uses
	not ssh_paths.allowed(path, access)
}

harmless(name) if name in ssh_tools.reading

harmless(name) if name in ssh_tools.own

harmless(name) if name in ssh_tools.filing

acceptable(command) if {
	command.known == true
	not ssh.transfer
	harmless(command.name)
	of_the_system(command)
	not goes_beyond(command)
}

acceptable(command) if {
	command.known == true
	command.subcommands[0] in ssh_tools.subcommands[command.name]
	of_the_system(command)
}

acceptable(command) if {
	restarts(command)
	of_the_system(command)
}

acceptable(command) if {
	command.name in data.config.ssh.commands
	of_the_system(command)
}

# One program that carries files and does nothing else, started as its client starts it. Pushing to a repository runs
# its hooks: git-receive-pack is only run where data.config.ssh.commands names it.
acceptable(command) if {
	count(ssh.commands) == 1
	command.name == carrier[ssh.transfer.protocol]
	command.known == true
	of_the_system(command)
	not argued_later(command)
}

carrier := {"scp": "scp", "rsync": "rsync", "git": "git-upload-pack"}

# With `-s` rsync reads its options and paths from the client, in place of those that were judged.
argued_later(command) if {
	command.name == "rsync"
	some word in command.argv
	ssh.rsync_letter(word, "s")
}

argued_later(command) if {
	command.name == "rsync"
	some word in command.argv
	some beginning in ["--prot", "--secl"]
	startswith(word, beginning)
}

restarts(command) if {
	command.known == true
	command.name == "systemctl"
	command.subcommands[0] in {
		"condrestart", "force-reload", "reload", "reload-or-restart", "restart", "try-reload-or-restart",
		"try-restart",
	}
}

# And known before it runs.
as_the_login(command) if {
	command.dynamic == false
	is_null(command.run_as)
}

# Found on the gateway's own search path, or where the system keeps its programs: not a file of the same name.
of_the_system(command) if {
	command.path == command.name
	command.name != ""
}

of_the_system(command) if {
	some directory in ssh_tools.directories
	command.path == concat("", [directory, command.name])
}

# By itself it shows the environment.
goes_beyond(command) if {
	command.name == "export"
	count(command.argv) < 2
}

goes_beyond(command) if {
	some beginning in ssh_tools.beyond[command.name]
	some word in command.argv
	startswith(word, beginning)
}

# For messages, which must be defined whatever the command is like.
shown(command) := command.name if {
	of_the_system(command)
} else := object.get(command, "path", "what is not named")

advice(command) := " with these words: as far as is known, that does more than read." if {
	harmless(command.name)
	of_the_system(command)
} else := ": options and paths must be in the words that start a transfer." if {
	ssh.transfer
} else := ". Ask for it to be added to ssh.commands if it is harmless."
