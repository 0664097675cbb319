# METADATA
# title: Changes that wait for approval
# description: |
#   What statements do that data.config.sql.approve names (`delete`, `update`, …) waits for the approvers that it names.
#   It allows nothing: what is no working data stays refused.
package sallyport.policies.approved_changes

import data.sallyport.lib.sql

# METADATA
# title: Waits for approval
require_approval contains {
	"code": concat("_", [effect, "approval"]),
	"message": concat("", [upper(effect), " needs approval."]),
	"access_request": object.union(usual, terms),
} if {
	input.subject.type == "agent"
	some effect, terms in data.config.sql.approve
	some statement in sql.statements
	effect in statement.effects
}

usual := {"quorum": 1, "ttl_seconds": 900, "uses": 1, "reason_required": true}
