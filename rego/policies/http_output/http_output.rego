# METADATA
# title: What answers hold
# description: |
#   Members of JSON that data.config.http masks by their path, and secrets by how they look: those of `masks.text` of the
#   upstream, else the usual ones; personal data too where the upstream is labelled `pii`. An answer that cannot be looked
#   into is then refused, unless its route is named in `opaque`; so are messages of a WebSocket. How long it may take is bounded by data.config.limits.
package sallyport.policies.http_output

import data.sallyport.lib.http
import data.sallyport.lib.output

# METADATA
# title: Masked
masks.json[path] := method if {
	masked
	some path, method in http.json_masks
}

masks.text[detector] := method if {
	masked
	some detector, method in detected
}

# METADATA
# title: Required along with an allow
obligations contains {
	"id": "answer_time_cap",
	"type": "timeout_ms",
	"properties": {"value": data.config.limits.timeout_ms},
} if {
	http.is_request
	not input.action.properties.upgrade
}

default masked := false

masked if {
	http.is_request
	not http.is_opaque
	not http.is_message
}

detected := http.text_masks if {
	true
} else := output.redacted
