# METADATA
# title: Interactive shells
# description: |
#   Agents run commands. A shell is for members of the groups that data.config.ssh.shells names: `judged`, where the
#   gateway reads each line and judges it as a command, or `recorded`, where nothing of it is judged.
package sallyport.policies.shells

import data.sallyport.lib.ssh

# METADATA
# title: Allowed
allow if {
	asked
	input.context.complete == true
	count(modes) > 0
}

asked if {
	ssh.is_ssh
	input.action.name == "shell"
	input.subject.type == "agent"
}

# METADATA
# title: Refused
deny contains {
	"code": "shell_refused",
	"message": "Agents have no interactive shell. Run one command at a time: ssh host 'command'.",
} if {
	asked
	count(modes) == 0
}

# METADATA
# title: How it is watched
# description: A member of groups of both kinds is judged.
obligations contains {"id": concat("_", ["shell", mode]), "type": "shell_mode", "properties": {"value": mode}} if {
	some mode in modes
}

modes contains mode if {
	asked
	some mode in ["judged", "recorded"]
	some group in data.config.ssh.shells[mode]
	group in input.subject.properties.groups
}
