# METADATA
# title: What is not understood is refused
# description: The classifier says whether it accounted for everything in the operation.
package sallyport.policies.incomplete

# METADATA
# title: Refused
deny contains {"code": "operation_incomplete", "message": message} if {
	not input.context.complete == true
	message := concat("", ["The gateway cannot account for everything in this operation", why, "."])
}

default why := ""

why := concat("", [" (", concat(", ", sort({w | some w in input.action.properties.incomplete})), ")"]) if {
	count(input.action.properties.incomplete) > 0
}
