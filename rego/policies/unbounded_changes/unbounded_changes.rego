# METADATA
# title: No UPDATE or DELETE without WHERE
# description: |
#   A WHERE that is constant counts as none. Also in working data: TRUNCATE says it in so many words.
package sallyport.policies.unbounded_changes

import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {
	"code": "change_without_where",
	"message": "UPDATE and DELETE need a WHERE that depends on the row. Name the rows, or TRUNCATE a working table.",
} if {
	some statement in sql.statements
	unbounded(statement)
}

unbounded(statement) if statement.has_where == false

# It changes rows, and whether it says which is not known.
unbounded(statement) if {
	some effect in statement.effects
	effect in {"update", "delete"}
	not statement.has_where
	not named_otherwise(statement)
}

# MERGE matches rows by its ON condition, INSERT … ON CONFLICT DO UPDATE by a key.
named_otherwise(statement) if {
	some effect in statement.effects
	effect in {"merge", "insert"}
}
