package sallyport.policies.row_caps_test

import data.sallyport.policies.row_caps
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_row_caps[note] if {
	some note, case in testing.cases("row_caps")
	says := testing.says(row_caps) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
