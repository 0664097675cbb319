package sallyport.policies.mcp_prompts_test

import data.sallyport.policies.mcp_prompts
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_mcp_prompts[note] if {
	some note, case in testing.cases("mcp_prompts")
	says := testing.says(mcp_prompts) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
