# METADATA
# title: Merging masks
# description: When two policies mask the same thing, the most private method wins.
package sallyport.lib.masks

import data.sallyport.lib.policies

# The more private, the lower.
rank := {
	"null": 0,
	"replace": 1,
	"hash": 2,
	"keep_first": 3,
	"keep_last": 3,
	"email": 4,
	"redact_pattern": 5,
}

# The most private method of the set. One that is not known here wins, so that the gateway sees and refuses it.
strictest(methods) := method if {
	count(methods) == 1
	some method in methods
} else := agreed({method | some method in methods; position(method) == first}) if {
	first := min({position(method) | some method in methods})
}

position(method) := rank[name] if {
	count(method) == 1
	some name, _ in method
	rank[name]
} else := -1

# Of methods of one rank, the one that hides most; where neither hides what the other does, all of the value.
agreed(methods) := method if {
	count(methods) == 1
	some method in methods
} else := method if {
	kinds := {kind | some m in methods; some kind, _ in m}
	count(kinds) == 1
	some kind in (kinds & {"keep_first", "keep_last"})
	method := {kind: {"count": min({m[kind].count | some m in methods})}}
} else := {"keep_last": {"count": 0}} if {
	every m in methods {
		some kind, _ in m
		kind in {"keep_first", "keep_last"}
	}
} else := {"redact_pattern": {"pattern": "(?s).+", "value": "***"}} if {
	every m in methods {
		m.redact_pattern
	}
} else := sort(methods)[0]

# METADATA
# description: The masks of all policies in one document of the contract's shape.
merged.columns[relation][column] := strictest(methods) if {
	some relation, column
	_ := policies.masks[_].columns[relation][column]
	methods := {method | some name; method := policies.masks[name].columns[relation][column]}
}

merged[target][path] := strictest(methods) if {
	some target in ["json", "text"]
	some path
	_ := policies.masks[_][target][path]
	methods := {method | some name; method := policies.masks[name][target][path]}
}

# Which policies masked something.
by contains name if {
	some name, rule in policies.masks
	some targets in rule
	count(targets) > 0
}
