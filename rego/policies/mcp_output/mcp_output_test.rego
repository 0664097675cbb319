package sallyport.policies.mcp_output_test

import data.sallyport.policies.mcp_output
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_mcp_output[note] if {
	some note, case in testing.cases("mcp_output")
	says := testing.says(mcp_output) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
