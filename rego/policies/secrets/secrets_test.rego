package sallyport.policies.secrets_test

import data.sallyport.policies.secrets
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_secrets[note] if {
	some note, case in testing.cases("secrets")
	says := testing.says(secrets) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
