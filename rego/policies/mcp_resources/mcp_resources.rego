# METADATA
# title: Resources by address
# description: |
#   An agent reads what is at or below the addresses that `resources` of data.config.mcp names. An address that could lead
#   out of them is refused.
package sallyport.policies.mcp_resources

import data.sallyport.lib.mcp

# METADATA
# title: Allowed
allow if {
	asked
	input.context.complete == true
	input.action.name in {
		"completion/complete", "resources/list", "resources/read", "resources/subscribe", "resources/templates/list",
		"resources/unsubscribe",
	}
	permitted
}

# METADATA
# title: Refused
deny contains {"code": "resource_refused", "message": message} if {
	asked
	not permitted
	message := concat("", [
		"Agents may not read this resource. Ask for it to be added to mcp.upstreams.",
		mcp.server_name,
		".resources.",
	])
}

default asked := false

asked if {
	mcp.judged
	input.resource.type == "resource"
}

permitted if {
	uri := input.action.properties.resource_uri
	some prefix in mcp.resources
	startswith(concat("", [uri, "/"]), concat("", [trim_right(prefix, "/"), "/"]))
	not leads_out(uri)
}

leads_out(uri) if {
	some piece in ["..", "\\", "%2e", "%2f", "%5c"]
	contains(lower(uri), piece)
}
