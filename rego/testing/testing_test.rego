# METADATA
# title: Running the cases of policies/<name>/cases.json
# description: |
#   A case is a note, what differs from testing/base.json (`input`, of the base it names) and from data/config.json
#   (`config`), what the policy says by itself (`says`), and the decision with its reasons. The gateway's own tests run
#   the same files through WebAssembly.
package sallyport.testing

cases(policy) := {case.note: case | some case in data.policies[policy].cases}

input_of(case) := object.union(data.testing[object.get(case, "base", "sql")], object.get(case, "input", {}))

config_of(case) := object.union(data.data, object.get(case, "config", {}))

# What a policy says, short: reasons by their codes, and rules that say nothing left out.
says(policy) := {rule: said |
	some rule, said in {
		"allow": object.get(policy, "allow", false),
		"deny": codes(object.get(policy, "deny", set())),
		"require_approval": codes(object.get(policy, "require_approval", set())),
		"quarantine": codes(object.get(policy, "quarantine", set())),
		"masks": {target: entries | some target, entries in object.get(policy, "masks", {}); count(entries) > 0},
		"obligations": {o.type: o.properties | some o in object.get(policy, "obligations", set())},
		"labels": sort(object.get(policy, "labels", set())),
	}
	not said in {false, [], {}}
}

codes(rule) := sort({element.code | some element in rule})

# The decision, short: whether it allows, and `policy/code` of each reason.
decided(result) := {
	"decision": result.decision,
	"reasons": sort({concat("/", [r.policy, r.code]) | some r in result.context.reasons}),
}
