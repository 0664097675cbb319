package sallyport.policies.destructive_ddl_test

import data.sallyport.policies.destructive_ddl
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_destructive_ddl[note] if {
	some note, case in testing.cases("destructive_ddl")
	says := testing.says(destructive_ddl) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
