# METADATA
# title: Personal data is masked
# description: |
#   Columns labelled `pii` may be read, masked, and looked up by equality. They may not be computed with, compared by
#   range, sorted, grouped, joined or stored: each of these can be turned into the value.
package sallyport.policies.pii

import data.sallyport.lib.masks as mask_methods
import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {"code": "pii_use", "message": message} if {
	some column in personal
	some use in column.uses
	not use in {"output", "equality"}
	message := concat("", [
		column.relation,
		".",
		column.name,
		" is personal data: it may be selected (masked) or compared by equality, but not used as ",
		use,
		".",
	])
}

# METADATA
# title: Masked
# description: The mask of the column, else of one of its labels, else the default, else null.
masks.columns[column.relation][column.name] := mask(column) if {
	some column in personal
}

# METADATA
# title: Lookups are counted
# description: Whoever may compare by equality can guess. data.config.limits.lookups_per_hour bounds how often, 600 without it.
obligations contains {
	"id": "pii_lookups",
	"type": "rate",
	"properties": {"value": lookups_per_hour, "window_seconds": 3600},
} if {
	some column in personal
	"equality" in column.uses
}

lookups_per_hour := data.config.limits.lookups_per_hour if {
	true
} else := 600

# METADATA
# title: What the subject has then seen
labels contains "pii" if count(personal) > 0

personal contains {
	"relation": sql.qualified(relation),
	"name": column.name,
	"labels": column.labels,
	"uses": column.uses,
} if {
	some relation in sql.relations
	some column in relation.columns
	"pii" in column.labels
}

mask(column) := data.config.masks.columns[column.relation][column.name] if {
	true
} else := mask_methods.strictest(by_label(column)) if {
	count(by_label(column)) > 0
} else := data.config.masks["default"] if {
	true
} else := {"null": {}}

by_label(column) := {method |
	some label in column.labels
	method := data.config.masks.labels[label]
}
