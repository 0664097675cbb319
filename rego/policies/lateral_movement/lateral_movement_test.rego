package sallyport.policies.lateral_movement_test

import data.sallyport.policies.lateral_movement
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_lateral_movement[note] if {
	some note, case in testing.cases("lateral_movement")
	says := testing.says(lateral_movement) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
