package sallyport.policies.working_data_test

import data.sallyport.policies.working_data
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_working_data[note] if {
	some note, case in testing.cases("working_data")
	says := testing.says(working_data) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
