package sallyport.policies.tunnels_test

import data.sallyport.policies.tunnels
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_tunnels[note] if {
	some note, case in testing.cases("tunnels")
	says := testing.says(tunnels) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
