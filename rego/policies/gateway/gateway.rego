# METADATA
# title: What the gateway itself may ask
# description: |
#   The gateway reads a database's catalog to know what names mean, and asks a host which shell a login has. It reads
#   nothing else, and changes nothing.
package sallyport.policies.gateway

import data.sallyport.lib.sql
import data.sallyport.lib.ssh

# METADATA
# title: Allowed
allow if {
	input.subject.type == "gateway"
	input.action.name == "select"
	sql.is_sql
	input.context.complete == true
	count(sql.written) == 0
	sql.only_system_relations
}

allow if {
	probes
	input.context.complete == true
}

# METADATA
# title: Refused
deny contains {
	"code": "gateway_beyond_catalog",
	"message": "The gateway itself reads only an upstream's catalog, and asks a host only for the login's shell.",
} if {
	input.subject.type == "gateway"
	not within
}

within if input.action.name == "connect"

within if {
	input.action.name == "select"
	sql.only_system_relations
}

within if probes

# The fixed question, not a command of somebody's.
probes if {
	input.subject.type == "gateway"
	ssh.is_exec
	input.action.properties.probe == true
	count(ssh.commands) == 0
}
