package sallyport_test

import data.sallyport
import data.sallyport.testing

# Every case of every policy, with all policies in force.
test_decision[policy][note] if {
	some policy, file in data.policies
	some note, case in testing.cases(policy)
	result := sallyport.decision with input as testing.input_of(case) with data.config as testing.config_of(case)
	testing.decided(result) == {"decision": case.decision, "reasons": case.reasons}
}
