# METADATA
# title: No destructive DDL
# description: |
#   Databases, schemas, roles, extensions and the like are never dropped or changed by an agent; tables and indexes
#   only in working data.
package sallyport.policies.destructive_ddl

import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {"code": "drop_database", "message": "Agents may not drop a database."} if {
	"drop_database" in sql.verbs
}

deny contains {"code": "ddl_refused", "message": message} if {
	some statement in sql.statements
	some effect in statement.effects
	effect in {"ddl", "truncate"}
	not changes_working_data_only(statement)
	statement.verb != "drop_database"
	message := concat("", [
		"Agents may not run ",
		upper(replace(statement.verb, "_", " ")),
		" outside working data.",
	])
}

# The relations of an operation are not told apart by statement, so each one that is changed must be working data.
changes_working_data_only(statement) if {
	statement.verb in sql.working_verbs
	not cascades(statement)
	count(sql.written) > 0
	every relation in sql.written {
		sql.working(relation)
	}
}

# What else it would drop is not known.
cascades(statement) if "option:cascade" in statement.objects
