package sallyport.policies.credential_files_test

import data.sallyport.policies.credential_files
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_credential_files[note] if {
	some note, case in testing.cases("credential_files")
	says := testing.says(credential_files) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
