# METADATA
# title: What the policies say
# description: |
#   Collects each rule of the decision contract from every package under sallyport.policies, and keeps what is enforced
#   apart from what is in shadow. A rule of another shape than the contract's is never left out: it refuses.
package sallyport.lib.policies

# One reference a rule: a reference to a whole package would evaluate everything in it.
allow[name] := rule if {
	some name
	rule := data.sallyport.policies[name].allow
	not shadowed(name)
}

said_deny[name] := elements(rule) if {
	some name
	rule := data.sallyport.policies[name].deny
	rule != set()
}

said_approval[name] := elements(rule) if {
	some name
	rule := data.sallyport.policies[name].require_approval
	rule != set()
}

said_quarantine[name] := elements(rule) if {
	some name
	rule := data.sallyport.policies[name].quarantine
	rule != set()
}

masks[name] := rule if {
	some name
	rule := data.sallyport.policies[name].masks
	rule != {}
	not rule in silent
	not shadowed(name)
}

obligations contains element if {
	some name
	rule := data.sallyport.policies[name].obligations
	rule != set()
	some element in elements(rule)
	not shadowed(name)
}

labels contains element if {
	some name
	rule := data.sallyport.policies[name].labels
	rule != set()
	some element in elements(rule)
	not shadowed(name)
}

# A policy is enforced unless its mode says exactly `shadow`.
shadowed(name) if data.config.modes[name] == "shadow"

allowed_by contains name if {
	some name, rule in allow
	grants(rule)
}

grants(rule) if rule == true

grants(rule) if {
	is_set(rule)
	count(rule) > 0
	every element in rule {
		well_formed(element)
	}
}

denials contains reason(name, element) if {
	some name, rule in said_deny
	not shadowed(name)
	some element in rule
}

denials contains {"policy": name, "code": "masks_malformed", "message": "The policy gave masks of another shape."} if {
	some name, rule in masks
	not well_formed_masks(rule)
}

denials contains {
	"policy": name,
	"code": "approval_malformed",
	"message": "The policy asked for approval in another shape.",
} if {
	some name, rule in said_approval
	not shadowed(name)
	some element in rule
	not well_formed_request(element)
}

requests contains {"policy": name, "request": element} if {
	some name, rule in said_approval
	not shadowed(name)
	some element in rule
	well_formed_request(element)
}

quarantines contains {"policy": name, "quarantine": element} if {
	some name, rule in said_quarantine
	not shadowed(name)
	some element in rule
}

# What the policies in shadow would have refused or held.
shadow contains reason(name, element) if {
	some rules in [said_deny, said_approval]
	some name, rule in rules
	shadowed(name)
	some element in rule
}

shadow contains {"policy": name, "code": "quarantined", "message": "The policy would have quarantined."} if {
	some name, rule in said_quarantine
	shadowed(name)
	count(rule) > 0
}

# Rules that say nothing. Anything else counts, whatever its type.
silent := {false, null, set(), [], {}, ""}

elements(rule) := set() if {
	rule in silent
} else := rule if {
	is_set(rule)
} else := {element | some element in rule} if {
	is_array(rule)
} else := {rule}

reason(name, element) := {"policy": name, "code": element.code, "message": element.message} if {
	well_formed(element)
} else := {
	"policy": name,
	"code": "reason_malformed",
	"message": "The policy gave a reason without a code or a message.",
}

well_formed(element) if {
	is_string(element.code)
	is_string(element.message)
}

well_formed_request(element) if {
	well_formed(element)
	is_array(element.access_request.groups)
}

well_formed_quarantine(element) if {
	is_string(element.scope)
	is_number(element.ttl_seconds)
	is_string(element.message)
}

well_formed_masks(rule) if {
	is_object(rule)
	every target, entries in rule {
		target in {"columns", "json", "text"}
		is_object(entries)
		is_object_of_objects(target, entries)
	}
}

is_object_of_objects("columns", entries) if {
	every columns in entries {
		is_object(columns)
	}
}

is_object_of_objects(target, _) if target in {"json", "text"}
