package sallyport.policies.mcp_resources_test

import data.sallyport.policies.mcp_resources
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_mcp_resources[note] if {
	some note, case in testing.cases("mcp_resources")
	says := testing.says(mcp_resources) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
