# METADATA
# title: Talking to an MCP server
# description: |
#   What a client and a server must say to each other before a tool is called: who they are, what there is, that they are
#   still there. What there is, is shown one by one to those who may use it.
package sallyport.policies.mcp_protocol

import data.sallyport.lib.mcp

# METADATA
# title: Allowed
allow if {
	mcp.judged
	input.context.complete == true
	input.resource.type == "mcp_server"
	known
}

known if input.action.name in {
	"initialize", "logging/setLevel", "notifications/cancelled", "notifications/initialized",
	"notifications/progress", "notifications/roots/list_changed", "ping", "prompts/list", "resources/list",
	"resources/templates/list", "response", "server/discover", "session/end", "session/stream", "subscriptions/listen", "tools/list",
}

# METADATA
# title: Refused
deny contains {"code": "method_refused", "message": message} if {
	mcp.judged
	input.resource.type == "mcp_server"
	not known
	message := "Agents list and call tools, read resources and get prompts; nothing else."
}
