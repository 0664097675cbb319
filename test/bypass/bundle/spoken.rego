# Says whatever the subject's claims say, and lets the gateway read the catalog: what the policies that ship would refuse
# reaches the gateway's own defences.
package sallyport.policies.spoken

says := input.subject.properties.claims.says

allow if input.subject.type == "gateway"

allow := says.allow if input.subject.type == "agent"

masks := says.masks

obligations := says.obligations

labels := says.labels

quarantine := says.quarantine

require_approval contains request if {
	input.subject.type == "agent"
	input.action.name != "connect"
	asked
	some request in says.require_approval
}

asked if not says.actions

asked if input.action.name in says.actions
