package sallyport.policies.refund_limits_test

import data.sallyport.policies.refund_limits
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_refund_limits[note] if {
	some note, case in testing.cases("refund_limits")
	says := testing.says(refund_limits) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
