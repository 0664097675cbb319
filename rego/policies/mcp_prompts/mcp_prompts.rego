# METADATA
# title: Prompts by name
# description: An agent gets the prompts that data.config.mcp names; what is in one tells the model what to do.
package sallyport.policies.mcp_prompts

import data.sallyport.lib.mcp

# METADATA
# title: Allowed
allow if {
	asked
	input.context.complete == true
	input.action.name in {"completion/complete", "prompts/get", "prompts/list"}
	permitted
}

# METADATA
# title: Refused
deny contains {"code": "prompt_refused", "message": message} if {
	asked
	not permitted
	message := concat("", [
		"Agents may not use this prompt. Ask for it to be added to mcp.upstreams.",
		mcp.server_name,
		".prompts.",
	])
}

default asked := false

asked if {
	mcp.judged
	input.resource.type == "prompt"
}

permitted if input.action.properties.prompt in mcp.prompts
