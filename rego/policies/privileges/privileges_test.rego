package sallyport.policies.privileges_test

import data.sallyport.policies.privileges
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_privileges[note] if {
	some note, case in testing.cases("privileges")
	says := testing.says(privileges) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
