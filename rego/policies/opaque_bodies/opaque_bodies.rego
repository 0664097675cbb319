# METADATA
# title: Bodies are read before they are sent on
# description: |
#   What the gateway cannot look into it cannot judge. Routes that take such bodies are named in `opaque` of
#   data.config.http; their answers are not masked either.
package sallyport.policies.opaque_bodies

import data.sallyport.lib.http

# METADATA
# title: Refused
deny contains {"code": "opaque_body", "message": message} if {
	http.judged
	"body_opaque" in input.action.properties.incomplete
	not http.accepted_unread
	message := "The gateway cannot look into a body of this type. Send JSON or a form."
}
