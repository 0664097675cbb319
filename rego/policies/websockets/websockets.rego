# METADATA
# title: WebSockets by route
# description: |
#   Only on the routes that data.config.http names in `websockets`. What an agent says over one is not judged, unless `messages`
#   says what that may be.
package sallyport.policies.websockets

import data.sallyport.lib.http

# METADATA
# title: Allowed
allow if {
	http.judged
	http.accounted_for
	named
}

# METADATA
# title: Refused
deny contains {"code": "websocket_refused", "message": message} if {
	http.judged
	_ := input.action.properties.upgrade
	not http.is_message
	not named
	message := concat("", [
		"Agents may not open a WebSocket here. Ask for the route to be added to http.upstreams.",
		http.upstream_name,
		".websockets.",
	])
}

named if {
	input.action.properties.upgrade == "websocket"
	input.action.name == "GET"
	http.template in http.websocket_routes
}
