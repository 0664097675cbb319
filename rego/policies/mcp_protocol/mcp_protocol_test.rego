package sallyport.policies.mcp_protocol_test

import data.sallyport.policies.mcp_protocol
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_mcp_protocol[note] if {
	some note, case in testing.cases("mcp_protocol")
	says := testing.says(mcp_protocol) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
