package sallyport.policies.privilege_escalation_test

import data.sallyport.policies.privilege_escalation
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_privilege_escalation[note] if {
	some note, case in testing.cases("privilege_escalation")
	says := testing.says(privilege_escalation) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
