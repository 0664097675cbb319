package sallyport.policies.opaque_bodies_test

import data.sallyport.policies.opaque_bodies
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_opaque_bodies[note] if {
	some note, case in testing.cases("opaque_bodies")
	says := testing.says(opaque_bodies) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
