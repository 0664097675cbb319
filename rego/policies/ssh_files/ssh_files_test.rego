package sallyport.policies.ssh_files_test

import data.sallyport.policies.ssh_files
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_ssh_files[note] if {
	some note, case in testing.cases("ssh_files")
	says := testing.says(ssh_files) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
