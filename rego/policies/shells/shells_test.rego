package sallyport.policies.shells_test

import data.sallyport.policies.shells
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_shells[note] if {
	some note, case in testing.cases("shells")
	says := testing.says(shells) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
