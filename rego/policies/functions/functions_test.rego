package sallyport.policies.functions_test

import data.sallyport.policies.functions
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_functions[note] if {
	some note, case in testing.cases("functions")
	says := testing.says(functions) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
