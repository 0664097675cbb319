# METADATA
# title: Row caps
# description: |
#   A query returns at most data.config.limits.max_rows rows, and an operation runs at most limits.timeout_ms
#   milliseconds. Without these limits nothing is capped. The catalog itself is not capped.
package sallyport.policies.row_caps

import data.sallyport.lib.sql

# METADATA
# title: Required along with an allow
obligations contains {
	"id": "row_cap",
	"type": "max_rows",
	"properties": {"value": data.config.limits.max_rows},
} if {
	sql.is_sql
	"select" in sql.effects
	not "copy" in sql.effects
	count(sql.written) == 0
	count(sql.relations) > 0
	not sql.only_system_relations
}

obligations contains {
	"id": "time_cap",
	"type": "timeout_ms",
	"properties": {"value": data.config.limits.timeout_ms},
} if {
	sql.is_sql
}
