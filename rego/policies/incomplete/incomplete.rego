# METADATA
# title: What is not understood is refused
# description: |
#   The classifier says whether it accounted for everything in the operation. data.config.http may let bodies through unread.
package sallyport.policies.incomplete

import data.sallyport.lib.http

# METADATA
# title: Refused
deny contains {"code": "operation_incomplete", "message": message} if {
	not input.context.complete == true
	not http.accepted_unread
	message := concat("", ["The gateway cannot account for everything in this operation", why, ".", remedy])
}

default why := ""

why := concat("", [" (", concat(", ", sort({w | some w in input.action.properties.incomplete})), ")"]) if {
	count(input.action.properties.incomplete) > 0
}

# What to do instead, for the words that have an answer; the words themselves say what is the matter.
remedy := concat(" ", array.concat([""], sort(known))) if {
	input.resource.type == "host"
	known := {remedies[word] | some word in input.action.properties.incomplete}
	count(known) > 0
} else := " List the tools of the server first." if {
	"tool_unknown" in input.action.properties.incomplete
} else := " Write it as plain commands with literal words." if {
	input.resource.type == "host"
} else := ""

remedies := {
	"bash_only": "Write it as every POSIX shell reads it.",
	"brace_expansion": "Write the words out.",
	"code": "Leave out what runs or writes from within a program's own language.",
	"command_substitution": "Run the inner command first, and write its result into the next.",
	"cwd_unknown": "Use absolute paths.",
	"destination": "Name the host and the port.",
	"dynamic_arguments": "Look up the names first, and write them out.",
	"environment": "Leave the variable out.",
	"escapes_to_shell": "Use a program that runs no other one.",
	"glob": "Look up the names first, and write them out.",
	"interactive": "Use a program that needs no terminal.",
	"interactive_shell": "Run one command at a time.",
	"interpreter": "Use plain commands in place of a program in another language.",
	"linked_path": "Name the file where it is, not by way of /proc or /dev/fd.",
	"login_shell": "Run the command without a login shell.",
	"parameter_expansion": "Write the value out.",
	"parent_path": "Write the path without `..`.",
	"process_substitution": "Use a pipe or a file.",
	"program_path": "Use a program of the system's own, by its name.",
	"runs_code": "Use plain commands in place of a program in another language.",
	"script_file": "Run the commands themselves in place of a script.",
	"sensitive_variable": "Leave the variable out.",
	"shell_from_stdin": "Run the commands themselves in place of piping them into a shell.",
	"tilde": "Write the home directory out.",
	"unknown_command": "Use a command that is known, or ask for it to be described in ssh.tools.",
	"unknown_option": "Leave out options that are not known.",
	"unknown_operand": "Leave out words that are not known.",
	"unknown_subcommand": "Leave out subcommands that are not known, or ask for them to be described in ssh.tools.",
	"unknown_variable": "Write the value out.",
}
