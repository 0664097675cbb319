# METADATA
# title: Messages of a WebSocket by name
# description: |
#   Where data.config.http names in `messages` what agents may send over a WebSocket, each of their messages is judged: JSON, with
#   one of the values that its route allows in the member that says what the message is.
package sallyport.policies.websocket_messages

import data.sallyport.lib.http

# METADATA
# title: Allowed
allow if {
	http.judged
	http.accounted_for
	permitted
}

permitted if {
	http.is_message
	http.template in http.websocket_routes
	rule := http.message_rules
	said(input.action.properties.body, rule.member) in rule.allow
}

# Undefined where the message is no object.
said(body, member) := body[member]

# METADATA
# title: Refused
deny contains {"code": "message_refused", "message": message} if {
	http.judged
	http.is_message
	not permitted
	message := concat("", [
		"Agents may not send this over the WebSocket. Ask for it to be added to http.upstreams.",
		http.upstream_name,
		".messages.",
	])
}

# METADATA
# title: Required along with an allow
obligations contains {"id": "messages_judged", "type": "messages", "properties": {"value": "judged"}} if {
	http.is_request
	input.action.properties.upgrade
	not http.is_message
	_ := http.message_rules
}
