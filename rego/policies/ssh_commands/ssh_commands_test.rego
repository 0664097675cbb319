package sallyport.policies.ssh_commands_test

import data.sallyport.policies.ssh_commands
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_ssh_commands[note] if {
	some note, case in testing.cases("ssh_commands")
	says := testing.says(ssh_commands) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}

# What is missing cannot be written as a difference from a base.
test_shell_not_known if {
	missing := json.remove(data.testing.ssh, ["/resource/properties/shell"])
	says := testing.says(ssh_commands) with input as missing with data.config as data.data
	says == {"deny": ["shell_unverified"]}
}
