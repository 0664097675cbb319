# METADATA
# title: Merging masks
# description: When two policies mask the same thing, the most private method wins.
package sallyport.lib.masks

import data.sallyport.lib.policies

# The more private, the lower. Methods that each keep another part of the value share a rank.
rank := {
	"null": 0,
	"replace": 1,
	"hash": 2,
	"keep_first": 3,
	"keep_last": 3,
	"email": 3,
	"redact_pattern": 3,
}

# The method that hides what each method of the set hides. Two that keep different parts of the value
# have none but `null`; the same is true of a method that is not known here.
strictest(methods) := method if {
	count(methods) == 1
	some method in methods
}

strictest(methods) := method if {
	count(methods) > 1
	best := min({position(method) | some method in methods})
	at_best := {method | some method in methods; position(method) == best}
	method := agreed(at_best)
}

position(method) := rank[name] if {
	count(method) == 1
	some name, _ in method
	rank[name]
} else := -1

# Of methods of one rank, the one that hides most.
agreed(methods) := method if {
	count(methods) == 1
	some method in methods
} else := method if {
	# one kind of keep: the one that keeps least
	kinds := {kind | some m in methods; some kind, _ in m}
	count(kinds) == 1
	some kind in kinds
	kind in {"keep_first", "keep_last"}
	least := min({m[kind].count | some m in methods})
	method := {kind: {"count": least}}
} else := method if {
	# constants hide all of it, whichever is used
	every m in methods {
		m.replace
	}
	method := sort(methods)[0]
} else := {"null": {}}

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
