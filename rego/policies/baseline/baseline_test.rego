package sallyport.policies.baseline_test

import data.sallyport.policies.baseline
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_baseline[note] if {
	some note, case in testing.cases("baseline")
	says := testing.says(baseline) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
