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

import data.sallyport.lib.masks as mask_methods

# METADATA
# title: Entry point
# description: The result of the decision contract, for the request in `input`.
# entrypoint: true
decision := {"decision": outcome == "allow", "context": context}

# --- what each policy says -------------------------------------------------------------------------
# One reference a rule name: a reference to the whole package would evaluate everything in it.

# Anything but these counts, whatever its type: a deny must not get lost because it is malformed.
silent := {false, null, set(), [], {}, ""}

said_allow[name] := said if {
	some name
	said := data.sallyport.policies[name].allow
}

said_deny[name] := said if {
	some name
	said := data.sallyport.policies[name].deny
	not said in silent
}

said_approval[name] := said if {
	some name
	said := data.sallyport.policies[name].require_approval
	not said in silent
}

said_masks[name] := said if {
	some name
	said := data.sallyport.policies[name].masks
	not said in silent
}

said_quarantine[name] := said if {
	some name
	said := data.sallyport.policies[name].quarantine
	not said in silent
}

# A policy is enforced unless its mode says exactly `shadow`.
shadowed(name) if data.config.modes[name] == "shadow"

# --- outcome ---------------------------------------------------------------------------------------

outcome := "quarantine" if {
	count(quarantines) > 0
} else := "deny" if {
	count(denials) > 0
} else := "require_approval" if {
	count(held) > 0
	count(allowed_by) > 0
} else := "allow" if {
	count(allowed_by) > 0
} else := "deny"

allowed_by contains name if {
	some name, said in said_allow
	not shadowed(name)
	grants(said)
}

grants(said) if said == true

grants(said) if {
	is_set(said)
	count(said) > 0
	every r in said {
		well_formed(r)
	}
}

denials contains reason(name, said) if {
	some name, rule in said_deny
	not shadowed(name)
	some said in elements(rule)
}

# A mask or a request for approval that cannot be understood is a refusal, not something to leave out.
denials contains {"policy": name, "code": "masks_malformed", "message": "The policy gave masks of another shape."} if {
	some name, masks in said_masks
	not shadowed(name)
	not well_formed_masks(masks)
}

denials contains {"policy": name, "code": "approval_malformed", "message": "The policy asked for approval in another shape."} if {
	some name, rule in said_approval
	not shadowed(name)
	some request in elements(rule)
	not well_formed_request(request)
}

quarantines contains object.union({"policy": name}, object.filter(said, ["scope", "ttl_seconds", "message"])) if {
	some name, rule in said_quarantine
	not shadowed(name)
	some said in elements(rule)
	is_object(said)
}

# Malformed: held against everything, and the gateway refuses the result.
quarantines contains {"policy": name, "malformed": true} if {
	some name, rule in said_quarantine
	not shadowed(name)
	some said in elements(rule)
	not is_object(said)
}

# --- approval --------------------------------------------------------------------------------------

# Requests that the approval at hand, if any, does not satisfy.
held contains {"policy": name, "request": request} if {
	some name, rule in said_approval
	not shadowed(name)
	some request in elements(rule)
	well_formed_request(request)
	not granted(name, request.code)
}

granted(name, code) if {
	some grant in input.context.approval.grants
	grant.policy == name
	grant.code == code
}

# Different approvers are asked one after another: a grant satisfies only what it was asked for.
asked := [request | some request in sort(held); groups(request) == groups(sort(held)[0])]

groups(h) := {group | some group in h.request.access_request.groups}

access_request := object.union(asked[0].request.access_request, {
	"groups": sort(groups(asked[0])),
	"quorum": max({object.get(h.request.access_request, "quorum", 1) | some h in asked}),
	"ttl_seconds": min({object.get(h.request.access_request, "ttl_seconds", 900) | some h in asked}),
	"uses": min({object.get(h.request.access_request, "uses", 1) | some h in asked}),
	"reason_required": true in {object.get(h.request.access_request, "reason_required", true) | some h in asked},
})

# --- context ---------------------------------------------------------------------------------------

context := object.union_n([{"reasons": sort(reasons)}, enforcement, cache, shadow])

reasons := {reason(q.policy, {"code": "quarantined", "message": object.get(q, "message", "Quarantined.")}) |
	some q in quarantines
} if {
	outcome == "quarantine"
} else := denials if {
	count(denials) > 0
} else := {reason(h.policy, h.request) | some h in asked} if {
	outcome == "require_approval"
} else := given if {
	outcome == "allow"
} else := {{
	"policy": "default",
	"code": "policy_undefined",
	"message": "No policy allows this operation.",
}}

given contains reason(name, said) if {
	some name in allowed_by
	is_set(said_allow[name])
	some said in said_allow[name]
}

given contains {"policy": name, "code": concat("_", [name, "masked"]), "message": "Part of the answer is masked."} if {
	some name, said in said_masks
	not shadowed(name)
	some targets in said
	count(targets) > 0
}

enforcement := object.union_n([masks, obligations, labels]) if {
	outcome == "allow"
} else := {"access_request": access_request} if {
	outcome == "require_approval"
} else := {"quarantine": quarantine} if {
	outcome == "quarantine"
} else := {}

cache := {"cache": {"ttl_seconds": data.config.limits.cache_ttl_seconds}} if {
	data.config.limits.cache_ttl_seconds
} else := {}

# The longest and widest of several. A malformed one is kept as it is, for the gateway to refuse.
quarantine := {"malformed": true} if {
	some q in quarantines
	q.malformed
} else := {"scope": scope, "ttl_seconds": ttl, "message": message} if {
	scope := max({object.get(q, "scope", "subject") | some q in quarantines}) # session < subject
	ttl := max({object.get(q, "ttl_seconds", 0) | some q in quarantines})
	message := min({object.get(q, "message", "Quarantined.") | some q in quarantines})
}

# --- masks, obligations, labels --------------------------------------------------------------------

masks := {"masks": {target: merged_masks[target] | some target, _ in merged_masks}} if {
	count(merged_masks) > 0
} else := {}

merged_masks.columns[relation][column] := mask_methods.strictest(methods) if {
	some relation, column
	_ := said_masks[_].columns[relation][column]
	methods := {method |
		some name
		method := said_masks[name].columns[relation][column]
		not shadowed(name)
	}
	count(methods) > 0
}

merged_masks[target][path] := mask_methods.strictest(methods) if {
	some target in ["json", "text"]
	some path
	_ := said_masks[_][target][path]
	methods := {method |
		some name
		method := said_masks[name][target][path]
		not shadowed(name)
	}
	count(methods) > 0
}

obligations := {"obligations": sort(strict_obligations)} if {
	count(strict_obligations) > 0
} else := {}

asked_obligations contains obligation if {
	some name
	rule := data.sallyport.policies[name].obligations
	not rule in silent
	not shadowed(name)
	some obligation in elements(rule)
}

strict_obligations contains sort({[strictness(o), o] | some o in asked_obligations; o.type == type})[0][1] if {
	some type in {o.type | some o in asked_obligations}
}

# Without a type: kept as it is, for the gateway to refuse.
strict_obligations contains obligation if {
	some obligation in asked_obligations
	not obligation.type
}

# The smaller, the stricter. Kinds without a measure are all as strict.
strictness(o) := o.properties.value if {
	o.type in {"max_rows", "max_bytes", "timeout_ms"}
} else := 0 if {
	o.type == "record"
	o.properties.value == "full"
} else := o.properties.value / o.properties.window_seconds if {
	o.type == "rate"
} else := 1

labels := {"labels": sort(given_labels)} if {
	count(given_labels) > 0
} else := {}

given_labels contains label if {
	some name
	rule := data.sallyport.policies[name].labels
	not rule in silent
	not shadowed(name)
	some label in elements(rule)
}

# --- shadow ----------------------------------------------------------------------------------------

shadow := {"shadow": sort(shadow_reasons)} if {
	count(shadow_reasons) > 0
} else := {}

# What the policies in shadow mode would have refused or held.
shadow_reasons contains reason(name, said) if {
	some rules in [said_deny, said_approval, said_quarantine]
	some name, rule in rules
	shadowed(name)
	some said in elements(rule)
}

# --- shapes ----------------------------------------------------------------------------------------

elements(rule) := rule if {
	is_set(rule)
} else := {said | some said in rule} if {
	is_array(rule)
} else := {rule}

well_formed(said) if {
	is_string(said.code)
	is_string(said.message)
}

reason(name, said) := {"policy": name, "code": said.code, "message": said.message} if {
	well_formed(said)
} else := {
	"policy": name,
	"code": "reason_malformed",
	"message": "The policy gave a reason without a code or a message.",
}

well_formed_request(request) if {
	well_formed(request)
	is_array(request.access_request.groups)
}

well_formed_masks(masks) if {
	is_object(masks)
	every target, entries in masks {
		is_object(entries)
		well_formed_target(target, entries)
	}
}

well_formed_target("columns", entries) if {
	every columns in entries {
		is_object(columns)
	}
}

well_formed_target(target, _) if target in {"json", "text"}
