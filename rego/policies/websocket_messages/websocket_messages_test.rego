package sallyport.policies.websocket_messages_test

import data.sallyport.policies.websocket_messages
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_websocket_messages[note] if {
	some note, case in testing.cases("websocket_messages")
	says := testing.says(websocket_messages) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
