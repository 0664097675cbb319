# METADATA
# title: Reading SQL operations
# description: |
#   Short names for what the classifier found. `statements` and `relations` are undefined when the operation is not SQL,
#   the sets made from them are then empty. They are plain references, so that `opa check --schema` sees through them.
package sallyport.lib.sql

default is_sql := false

is_sql if input.resource.type == "database"

statements := input.action.properties.statements if is_sql

relations := input.resource.properties.relations if is_sql

effects contains effect if {
	some statement in statements
	some effect in statement.effects
}

verbs contains statement.verb if some statement in statements

functions contains called if {
	some statement in statements
	some called in statement.functions
}

settings contains setting if {
	some statement in statements
	some setting in statement.settings
}

# Relations whose rows or definition the operation changes. What is not surely read counts as changed.
written contains relation if {
	some relation in relations
	relation.access != "read"
}

# The schemas that describe the database itself.
system_schemas := {"pg_catalog", "information_schema"}

only_system_relations if {
	every relation in relations {
		relation.schema in system_schemas
	}
}

# Working data: what agents may change. A label of the relation, or of the whole upstream.
working(relation) if "working" in relation.labels

working(_) if input.resource.properties.labels.working == "true"

# `schema.name`, for messages and masks.
qualified(relation) := concat(".", [relation.schema, relation.name])

# The classifier accounted for everything, and found something.
accounted_for if {
	is_sql
	input.context.complete == true
	count(statements) > 0
}

# A statement that changes nothing but this session.
reading(statement) if {
	count(statement.effects) > 0
	every effect in statement.effects {
		reading_effect(statement.verb, effect)
	}
}

reading_effect(_, effect) if effect in {"select", "copy", "explain", "listen", "set", "transaction"}

# LOCK TABLE as pg_dump does it; a mode that keeps others from writing counts as a write. Nothing else that is called
# a utility: PREPARE TRANSACTION outlives the session, CHECKPOINT and LOAD are the server's.
reading_effect("lock_table", "utility")

# What may be done to the shape of working data.
working_verbs := {
	"create_table", "create_table_as", "select_into", "create_index", "drop_table", "truncate", "vacuum", "analyze",
}
