package sallyport.policies.pii_test

import data.sallyport.policies.pii
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_pii[note] if {
	some note, case in testing.cases("pii")
	says := testing.says(pii) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
