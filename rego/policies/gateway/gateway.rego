# METADATA
# title: What the gateway itself may ask
# description: |
#   The gateway reads a database's catalog to know what names mean, asks a host which shell a login has, and an MCP server
#   what it offers. Where data.config.sql.estimate is true, it has a statement planned that waits for approval, to tell the
#   approvers how many rows that would affect. It reads nothing else, and changes nothing.
package sallyport.policies.gateway

import data.sallyport.lib.mcp
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

allow if {
	lists
	input.context.complete == true
}

# Planning may run functions already: none of users'.
allow if {
	explains
	input.context.complete == true
	count(sql.written) == 0
	every called in sql.functions {
		called.schema in sql.system_schemas
	}
}

# METADATA
# title: Refused
deny contains {
	"code": "gateway_beyond_catalog",
	"message": "The gateway itself reads only what an upstream offers, and asks a host only for the login's shell.",
} if {
	input.subject.type == "gateway"
	not within
}

within if {
	input.action.name == "connect"
	input.resource.type == "upstream"
}

within if {
	input.action.name == "select"
	sql.only_system_relations
}

within if explains

within if probes

within if lists

# The fixed question, not a command of somebody's.
probes if {
	input.subject.type == "gateway"
	ssh.is_exec
	input.action.properties.probe == true
	count(ssh.commands) == 0
}

# Planned, not run: an ANALYZE has another verb, and the effects of what it runs.
explains if {
	input.subject.type == "gateway"
	data.config.sql.estimate == true
	input.action.name == "explain"
	sql.verbs == {"explain"}
	sql.effects == {"explain"}
}

lists if {
	input.subject.type == "gateway"
	mcp.is_mcp
	input.resource.type == "mcp_server"
	input.action.name in {
		"initialize", "notifications/initialized", "ping", "prompts/list", "resources/list", "resources/templates/list",
		"server/discover", "tools/list",
	}
}
