# METADATA
# title: Merging requests for approval
# description: |
#   Drops the requests that the approval at hand satisfies, and merges the others. Different approvers are asked one
#   after another, because a grant satisfies only the requests it was asked for.
package sallyport.lib.approvals

import data.sallyport.lib.policies

held contains request if {
	some request in policies.requests
	not granted(request.policy, request.request.code)
}

granted(policy, code) if {
	some grant in input.context.approval.grants
	grant.policy == policy
	grant.code == code
}

# Those that the first one's approvers can satisfy.
asked := [request | some request in in_order; groups(request) == groups(in_order[0])]

in_order := sort(held)

groups(held_request) := {group | some group in held_request.request.access_request.groups}

# METADATA
# description: The strictest of what is asked. Members that only one request has are kept as they are.
access_request := object.union(asked[0].request.access_request, {
	"groups": sort(groups(asked[0])),
	"quorum": max(terms("quorum", 1)),
	"ttl_seconds": min(terms("ttl_seconds", 900)),
	"uses": min(terms("uses", 1)),
	"reason_required": true in terms("reason_required", true),
	"mode": min(terms("mode", waits("mode", "return"))), # "return" sorts before "wait"
	"wait_seconds": min(terms("wait_seconds", waits("wait_seconds", 60))),
	"reuse": min(terms("reuse", "none")), # "none" sorts before "shape"
	"break_glass": min(terms("break_glass", false)), # false sorts before true
})

# How clients wait where a policy does not say.
waits(name, otherwise) := object.get(object.get(data.config, "approvals", {}), name, otherwise)

terms(name, otherwise) := {object.get(request.request.access_request, name, otherwise) | some request in asked}

reasons := {policies.reason(request.policy, request.request) | some request in asked}
