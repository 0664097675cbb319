# METADATA
# title: What servers say
# description: |
#   Members of JSON that data.config.mcp masks by their path, and secrets by how they look: those of `masks.text` of the
#   server, else the usual ones; personal data too where the server is labelled `pii`. That goes for what
#   servers say by themselves as well. How much tools, resources and prompts may answer, and how long that may take, is bounded by
#   data.config.limits.
package sallyport.policies.mcp_output

import data.sallyport.lib.mcp
import data.sallyport.lib.output

# METADATA
# title: Masked
masks.json[path] := method if {
	mcp.speaks
	some path, method in mcp.json_masks
}

masks.text[detector] := method if {
	mcp.speaks
	some detector, method in detected
}

# METADATA
# title: Required along with an allow
obligations contains {
	"id": "answer_cap",
	"type": "max_bytes",
	"properties": {"value": data.config.limits.max_bytes},
} if {
	mcp.answers
}

obligations contains {
	"id": "answer_time_cap",
	"type": "timeout_ms",
	"properties": {"value": data.config.limits.timeout_ms},
} if {
	mcp.answers
}

detected := mcp.text_masks if {
	true
} else := output.redacted
