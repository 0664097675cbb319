package sallyport.policies.incomplete_test

import data.sallyport.policies.incomplete
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_incomplete[note] if {
	some note, case in testing.cases("incomplete")
	says := testing.says(incomplete) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
