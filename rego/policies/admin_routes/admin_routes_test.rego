package sallyport.policies.admin_routes_test

import data.sallyport.policies.admin_routes
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_admin_routes[note] if {
	some note, case in testing.cases("admin_routes")
	says := testing.says(admin_routes) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
