package sallyport.policies.persistence_test

import data.sallyport.policies.persistence
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_persistence[note] if {
	some note, case in testing.cases("persistence")
	says := testing.says(persistence) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
