# METADATA
# title: Amounts are bounded
# description: |
#   Numbers in a request's body that `limits` of data.config.http bounds by route: above `max` they are refused, above
#   `approve_above` they wait for approval. The arguments of tools are bounded alike, by the policy `mcp_tools`.
package sallyport.policies.refund_limits

import data.sallyport.lib.amounts
import data.sallyport.lib.http

# METADATA
# title: Refused
deny contains {"code": code, "message": amounts.message(code, member, bound)} if {
	http.judged
	some member, bound in http.limits
	some code in amounts.problems(body, member, bound)
}

# Which of the two an upstream reads is not known.
deny contains {"code": "amount_unclear", "message": message} if {
	http.judged
	some member, _ in http.limits
	some name, _ in input.action.properties.query
	lower(name) == lower(member)
	message := concat("", ["Give ", member, " in the body, and not in the query."])
}

# METADATA
# title: Waits for approval
require_approval contains {
	"code": "amount_approval",
	"message": concat("", [member, " above ", json.marshal(bound.approve_above), " needs approval."]),
	"access_request": {
		"groups": http.approvers,
		"quorum": 1,
		"ttl_seconds": 900,
		"uses": 1,
		"reason_required": true,
	},
} if {
	http.judged
	some member, bound in http.limits
	amounts.above(body, member, bound.approve_above)
}

default body := null

body := input.action.properties.body
