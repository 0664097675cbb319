# Allows everything and says what it was asked: the trail then has, word for word, what was judged.
package sallyport.policies.judged

document := json.marshal({"action": input.action, "resource": input.resource, "complete": input.context.complete})

# In pieces, because a reason is a short text. They are in order when their codes are.
allow contains {"code": concat("_", ["judged", format_int(100 + piece, 10)]), "message": text} if {
	some piece in numbers.range(0, ceil(count(document) / 1000) - 1)
	text := substring(document, piece * 1000, 1000)
}
