package sallyport.policies.approved_changes_test

import data.sallyport.policies.approved_changes
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_approved_changes[note] if {
	some note, case in testing.cases("approved_changes")
	says := testing.says(approved_changes) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
