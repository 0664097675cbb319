package sallyport.policies.http_read_only_test

import data.sallyport.policies.http_read_only
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_http_read_only[note] if {
	some note, case in testing.cases("http_read_only")
	says := testing.says(http_read_only) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
