package sallyport.policies.websockets_test

import data.sallyport.policies.websockets
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_websockets[note] if {
	some note, case in testing.cases("websockets")
	says := testing.says(websockets) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
