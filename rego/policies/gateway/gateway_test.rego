package sallyport.policies.gateway_test

import data.sallyport.policies.gateway
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_gateway[note] if {
	some note, case in testing.cases("gateway")
	says := testing.says(gateway) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
