# METADATA
# title: Merging obligations
# description: Of two obligations of one type, the stricter. One without a type is kept, for the gateway to refuse.
package sallyport.lib.obligations

import data.sallyport.lib.policies

strictest contains sort({[strictness(o), o] | some o in policies.obligations; o.type == type})[0][1] if {
	some type in {o.type | some o in policies.obligations}
}

strictest contains obligation if {
	some obligation in policies.obligations
	not obligation.type
}

# The smaller, the stricter. Kinds without a measure are all as strict.
strictness(o) := o.properties.value if {
	o.type in {"max_rows", "max_bytes", "timeout_ms"}
} else := 0 if {
	o.type == "record"
	o.properties.value == "full"
} else := 0 if {
	o.type == "shell_mode"
	o.properties.value == "judged"
} else := o.properties.value / o.properties.window_seconds if {
	o.type == "rate"
} else := 1
