package sallyport.policies.graphql_test

import data.sallyport.policies.graphql
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_graphql[note] if {
	some note, case in testing.cases("graphql")
	says := testing.says(graphql) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
