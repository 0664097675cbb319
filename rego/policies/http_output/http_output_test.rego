package sallyport.policies.http_output_test

import data.sallyport.policies.http_output
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_http_output[note] if {
	some note, case in testing.cases("http_output")
	says := testing.says(http_output) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
