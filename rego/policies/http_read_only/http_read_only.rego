# METADATA
# title: Agents read
# description: |
#   GET, HEAD and OPTIONS on what is declared of an upstream. Another method only on the routes that data.config.http
#   names: `write`, or `approve`, which waits for approval.
package sallyport.policies.http_read_only

import data.sallyport.lib.http

# METADATA
# title: Allowed
allow if {
	asked
	http.reading
	http.known
}

allow if {
	asked
	named
}

asked if {
	http.judged
	http.accounted_for
	not input.action.properties.upgrade
}

named if http.route in http.write_routes

named if http.route in http.approve_routes

# METADATA
# title: Refused
deny contains {"code": "write_refused", "message": message} if {
	http.judged
	http.known
	not http.reading
	not http.is_message
	not named
	not http.is_graphql
	message := concat("", [
		"Agents may read here, but not ",
		input.action.name,
		". Ask for the route to be added to http.upstreams.",
		http.upstream_name,
		".write.",
	])
}

# METADATA
# title: Waits for approval
require_approval contains {
	"code": "write_approval",
	"message": concat("", [http.route, " needs approval."]),
	"access_request": {
		"groups": http.approvers,
		"quorum": 1,
		"ttl_seconds": 900,
		"uses": 1,
		"reason_required": true,
	},
} if {
	http.judged
	http.route in http.approve_routes
}
