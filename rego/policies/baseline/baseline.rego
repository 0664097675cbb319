# METADATA
# title: What any agent may do
# description: |
#   Connecting to an upstream that data.config names, and reading: SELECT, COPY TO the client, cursors, EXPLAIN,
#   transactions, LISTEN, SHOW and SET. Writes are allowed elsewhere; columns, functions and settings are refused elsewhere.
package sallyport.policies.baseline

import data.sallyport.lib.sql

# METADATA
# title: Allowed
allow if {
	input.action.name == "connect"
	input.resource.type == "upstream"
	data.config.upstreams[input.resource.id]
}

allow if {
	input.subject.type == "agent"
	sql.accounted_for
	count(sql.written) == 0
	every statement in sql.statements {
		sql.reading(statement)
	}
}
