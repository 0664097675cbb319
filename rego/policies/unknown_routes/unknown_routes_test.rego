package sallyport.policies.unknown_routes_test

import data.sallyport.policies.unknown_routes
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_unknown_routes[note] if {
	some note, case in testing.cases("unknown_routes")
	says := testing.says(unknown_routes) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
