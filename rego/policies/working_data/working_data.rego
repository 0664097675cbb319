# METADATA
# title: Agents write to working data only
# description: |
#   INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM the client, and creating or dropping tables and indexes are
#   allowed where every relation they touch for writing is labelled `working` in data.config, or its upstream is.
package sallyport.policies.working_data

import data.sallyport.lib.sql

# METADATA
# title: Allowed
allow if {
	input.subject.type == "agent"
	sql.accounted_for
	count(sql.written) > 0
	count(outside) == 0
	every statement in sql.statements {
		understood(statement)
	}
}

# METADATA
# title: Refused
deny contains {"code": "write_outside_working_data", "message": message} if {
	count(outside) > 0
	message := concat("", [
		"Agents may read ",
		concat(", ", sort(outside)),
		" but not change it. Write to working data instead.",
	])
}

outside contains sql.qualified(relation) if {
	some relation in sql.written
	not sql.working(relation)
}

understood(statement) if sql.reading(statement)

understood(statement) if {
	count(statement.effects) > 0
	every effect in statement.effects {
		effect in {"select", "explain", "copy", "insert", "update", "delete", "merge", "truncate"}
	}
}

understood(statement) if statement.verb in sql.working_verbs
