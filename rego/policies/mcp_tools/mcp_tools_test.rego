package sallyport.policies.mcp_tools_test

import data.sallyport.policies.mcp_tools
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_mcp_tools[note] if {
	some note, case in testing.cases("mcp_tools")
	says := testing.says(mcp_tools) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}

# What is missing cannot be written as a difference from a base.
test_not_known_to_be_unchanged if {
	missing := json.remove(data.testing.mcp, ["/action/properties/tool_changed"])
	says := testing.says(mcp_tools) with input as missing with data.config as data.data
	says == {"deny": ["tool_changed"]}
}
