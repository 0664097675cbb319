package sallyport.policies.settings_test

import data.sallyport.policies.settings
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_settings[note] if {
	some note, case in testing.cases("settings")
	says := testing.says(settings) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
