# METADATA
# title: Only what is declared
# description: |
#   A request falls under a route of its upstream, or, where an upstream has none, below a path that data.config.http
#   declares: what nobody thought of is not reached by guessing.
package sallyport.policies.unknown_routes

import data.sallyport.lib.http

# METADATA
# title: Refused
deny contains {"code": "route_unknown", "message": message} if {
	http.judged
	not http.known
	message := concat("", [
		"No route of ",
		http.upstream_name,
		" is declared for this method and path. Use one that is.",
	])
}
