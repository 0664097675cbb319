# METADATA
# title: What commands print
# description: |
#   Secrets in the output of commands and shells are masked by how they look: those of data.config.ssh.masks, else the
#   usual ones; personal data too on hosts labelled `pii`. Files that are transferred are not masked, so that they arrive
#   as they are or not at all. What a command may print, and how long it may run, is bounded by data.config.limits.
package sallyport.policies.ssh_output

import data.sallyport.lib.output
import data.sallyport.lib.ssh

# METADATA
# title: Masked
masks.text[detector] := method if {
	prints
	some detector, method in chosen
}

# METADATA
# title: Required along with an allow
obligations contains {
	"id": "output_cap",
	"type": "max_bytes",
	"properties": {"value": data.config.limits.max_bytes},
} if {
	runs
}

obligations contains {
	"id": "command_time_cap",
	"type": "timeout_ms",
	"properties": {"value": data.config.limits.timeout_ms},
} if {
	runs
}

prints if runs

prints if {
	ssh.is_ssh
	input.action.name == "shell"
}

runs if {
	ssh.is_exec
	not ssh.transfer
	not input.action.properties.probe
}

chosen := data.config.ssh.masks if {
	true
} else := output.redacted
