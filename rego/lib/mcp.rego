# METADATA
# title: Reading MCP messages
# description: |
#   Short names for what a JSON-RPC message asks, and for what data.config.mcp says of its server. They are undefined when
#   the operation is no MCP message.
package sallyport.lib.mcp

default is_mcp := false

is_mcp if input.action.properties.protocol == "mcp"

# What an agent asks, whom these policies are about.
default judged := false

judged if {
	is_mcp
	input.subject.type == "agent"
}

# What data.config.mcp says of the server. Each member has a name here, because `opa check` does not see into what is named
# by authors of data: a misspelt name of this file is an error when the bundle is built.
server := data.config.mcp.upstreams[input.resource.properties.upstream] if is_mcp

allowed_tools := server.allow

approve_tools := server.approve

refused_tools := server.refuse

limits := server.limits[tool]

resources := server.resources

prompts := server.prompts

json_masks := server.masks.json

text_masks := server.masks.text

default server_name := "this server"

server_name := input.resource.properties.upstream if is_mcp

tool := input.action.properties.tool if {
	is_mcp
	input.resource.type == "tool"
}

# A tool is called, and not only listed.
default is_call := false

is_call if {
	judged
	input.resource.type == "tool"
	input.action.name == "tools/call"
}

# What brings words of the server: answers, and what it says by itself.
default speaks := false

speaks if answers

speaks if {
	is_mcp
	input.action.name in {"session/stream", "subscriptions/listen"}
}

# What answers with something to bound.
default answers := false

answers if {
	is_mcp
	input.action.name in {"tools/call", "resources/read", "prompts/get", "completion/complete"}
}

# Who approves what data.config.mcp holds.
default approvers := ["approvers"]

approvers := server.approvers
