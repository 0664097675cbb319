# METADATA
# title: WebSockets by route
# description: |
#   What goes over a WebSocket is neither judged nor masked: only on the routes that data.config.http names in `websockets`.
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
