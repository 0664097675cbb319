package sallyport.policies.destructive_commands_test

import data.sallyport.policies.destructive_commands
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_destructive_commands[note] if {
	some note, case in testing.cases("destructive_commands")
	says := testing.says(destructive_commands) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
