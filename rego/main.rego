# METADATA
# title: The decision
# description: |
#   Merges what the policies under sallyport.policies say into one AuthZEN evaluation result:
#   quarantine, then deny, then require_approval, then allow; nothing else is allowed.
# scope: subpackages
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package sallyport

import data.sallyport.lib.approvals
import data.sallyport.lib.masks
import data.sallyport.lib.obligations
import data.sallyport.lib.policies

# METADATA
# title: Entry point
# description: The result of the decision contract (schemas/result.json) for the request in `input`.
# entrypoint: true
decision := {"decision": outcome == "allow", "context": context}

outcome := "quarantine" if {
	count(policies.quarantines) > 0
} else := "deny" if {
	count(policies.denials) > 0
} else := "deny" if {
	# An approval never replaces an allow.
	count(policies.allowed_by) == 0
} else := "require_approval" if {
	count(approvals.held) > 0
} else := "allow"

context := object.union_n([{"reasons": in_order}, enforcement, cache, shadow])

# The first reason is what the client is told: one about the operation says more than that something is on no list, and
# that more than that something in it is unclear.
in_order := array.concat(
	[r | some r in sort(reasons); not r.policy in last],
	[r | some name in last; some r in sort(reasons); r.policy == name],
)

last := ["ssh_commands", "ssh_files", "http_read_only", "mcp_tools", "incomplete"]

reasons := {policies.reason(q.policy, {"code": "quarantined", "message": quarantine_message}) |
	some q in policies.quarantines
} if {
	outcome == "quarantine"
} else := approvals.reasons if {
	outcome == "require_approval"
} else := given if {
	outcome == "allow"
} else := policies.denials if {
	count(policies.denials) > 0
} else := {{
	"policy": "default",
	"code": "policy_undefined",
	"message": "No policy allows this operation.",
}}

given contains policies.reason(name, element) if {
	some name in policies.allowed_by
	some element in policies.allow[name]
}

given contains {
	"policy": name,
	"code": concat("_", [name, "masked"]),
	"message": "Part of the answer is masked.",
} if {
	some name in masks.by
}

# What comes with the outcome. The members that are empty are left out.
enforcement := {name: part |
	parts := {
		"masks": masks.merged,
		"obligations": sort(obligations.strictest),
		"labels": sort(policies.labels),
	}
	some name, part in parts
	count(part) > 0
} if {
	outcome == "allow"
} else := {"access_request": approvals.access_request} if {
	outcome == "require_approval"
} else := {"quarantine": quarantine} if {
	outcome == "quarantine"
} else := {}

# The widest and longest of several. One that is malformed stays so, for the gateway to refuse.
quarantine := {"malformed": true} if {
	some q in policies.quarantines
	not policies.well_formed_quarantine(q.quarantine)
} else := {
	# "subject" sorts after "session"
	"scope": max({q.quarantine.scope | some q in policies.quarantines}),
	"ttl_seconds": max({q.quarantine.ttl_seconds | some q in policies.quarantines}),
	"message": quarantine_message,
}

default quarantine_message := "Quarantined."

quarantine_message := min({q.quarantine.message | some q in policies.quarantines; is_string(q.quarantine.message)})

cache := {"cache": {"ttl_seconds": data.config.limits.cache_ttl_seconds}} if {
	data.config.limits.cache_ttl_seconds
} else := {}

shadow := {"shadow": sort(policies.shadow)} if {
	count(policies.shadow) > 0
} else := {}
