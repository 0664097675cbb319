# METADATA
# title: No administration
# description: |
#   Paths and tags under which services are administered or show their insides: those of data.config.http.admin, else the
#   usual ones. A path counts wherever it stands in a route; in the values of its parameters only at the beginning.
package sallyport.policies.admin_routes

import data.sallyport.lib.http

# METADATA
# title: Refused
deny contains {"code": "admin_route", "message": message} if {
	http.judged
	text := concat("", ["/", concat("/", http.words), "/"])
	some path in paths
	contains(text, concat("", [trim_right(lower(path), "/"), "/"]))
	message := "This administers the service. Agents use what it is for."
}

# A route that takes anything, `/{page}`, takes this as well.
deny contains {"code": "admin_route", "message": message} if {
	http.judged
	text := lower(concat("", ["/", concat("/", input.action.properties.segments), "/"]))
	some path in paths
	startswith(text, concat("", [trim_right(lower(path), "/"), "/"]))
	message := "This administers the service. Agents use what it is for."
}

deny contains {"code": "admin_route", "message": message} if {
	http.judged
	some tag in input.resource.properties.tags
	lower(tag) in tags
	message := "This administers the service. Agents use what it is for."
}

paths := data.config.http.admin.paths if {
	true
} else := [
	"/.env", "/.git", "/_admin", "/_debug", "/_internal", "/actuator", "/admin", "/administration", "/console",
	"/debug", "/internal", "/jolokia", "/manage", "/management", "/metrics", "/phpmyadmin", "/server-status", "/sudo",
	"/swagger-ui", "/wp-admin",
]

tags := {lower(tag) | some tag in data.config.http.admin.tags} if {
	data.config.http.admin.tags
} else := {"admin", "administration", "debug", "internal", "management"}
