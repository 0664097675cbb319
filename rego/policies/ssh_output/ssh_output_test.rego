package sallyport.policies.ssh_output_test

import data.sallyport.policies.ssh_output
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_ssh_output[note] if {
	some note, case in testing.cases("ssh_output")
	says := testing.says(ssh_output) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
