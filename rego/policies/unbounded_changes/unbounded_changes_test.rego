package sallyport.policies.unbounded_changes_test

import data.sallyport.policies.unbounded_changes
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_unbounded_changes[note] if {
	some note, case in testing.cases("unbounded_changes")
	says := testing.says(unbounded_changes) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
