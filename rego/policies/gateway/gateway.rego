# METADATA
# title: What the gateway itself may ask
# description: The gateway reads an upstream's catalog to know what names mean. It reads nothing else, and changes nothing.
package sallyport.policies.gateway

import data.sallyport.lib.sql

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

# METADATA
# title: Refused
deny contains {
	"code": "gateway_beyond_catalog",
	"message": "The gateway itself reads only an upstream's catalog.",
} if {
	input.subject.type == "gateway"
	not within
}

within if input.action.name == "connect"

within if {
	input.action.name == "select"
	sql.only_system_relations
}
