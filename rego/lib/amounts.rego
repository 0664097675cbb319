# METADATA
# title: Bounds on numbers in a request
# description: |
#   What `limits` in data.config.http and data.config.mcp says of a number in a body or in arguments, by the names on the
#   way to it: `refund.amount`, and of a list of refunds the sum. Readers differ in whether the case of names matters, so
#   names that differ only in it are taken together.
package sallyport.lib.amounts

# Everything that could be taken for the member. An index of a list is no name.
found(document, member) := [value |
	walk(document, [path, value])
	lower(concat(".", [name | some name in path; is_string(name)])) == lower(member)
	not is_array(value)
]

# What is wrong with it, by code: numbers and nothing else, not below 0 and not above `max`.
problems(document, member, bound) := {"amount_missing"} if {
	# Left out it often means all there is.
	count(found(document, member)) == 0
} else := {"amount_unclear"} if {
	some value in found(document, member)
	not is_number(value)
} else := {"amount_unclear"} if {
	some value in found(document, member)
	value < 0
} else := {"amount_too_large"} if {
	sum(found(document, member)) > bound.max
} else := set()

above(document, member, threshold) if {
	every value in found(document, member) {
		is_number(value)
	}
	sum(found(document, member)) > threshold
}

message("amount_missing", member, _) := concat("", ["Say what ", member, " is: left out, it is not bounded."])

message("amount_unclear", member, _) := concat("", ["Give ", member, " as a number that is not below 0."])

message("amount_too_large", member, bound) := concat("", [
	"Agents may give at most ",
	json.marshal(bound.max),
	" as ",
	member,
	".",
])
