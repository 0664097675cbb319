# METADATA
# title: Tools by allow-list
# description: |
#   An agent calls the tools that data.config.mcp allows, as they were when somebody looked at them. `*` allows those of a
#   server whose names do not speak of danger; the others must be named. `approve` holds a call for approval, and `limits`
#   bounds the numbers in its arguments. Tools that may not be called are not listed either.
package sallyport.policies.mcp_tools

import data.sallyport.lib.amounts
import data.sallyport.lib.mcp

# METADATA
# title: Allowed
allow if {
	mcp.judged
	input.context.complete == true
	input.action.name in {"tools/call", "tools/list"}
	permitted
	count(deny) == 0
}

# METADATA
# title: Refused
deny contains {"code": "tool_refused", "message": message} if {
	mcp.judged
	input.resource.type == "tool"
	not permitted
	message := concat("", [
		"Agents may not call this tool. Ask for it to be added to mcp.upstreams.",
		mcp.server_name,
		".allow.",
	])
}

deny contains {"code": "tool_changed", "message": message} if {
	mcp.judged
	input.resource.type == "tool"
	not input.action.properties.tool_changed == false
	message := "The definition of this tool is not the one that was approved. Somebody has to look at it again."
}

deny contains {"code": code, "message": amounts.message(code, member, bound)} if {
	mcp.is_call
	some member, bound in mcp.limits
	some code in amounts.problems(arguments, member, bound)
}

# METADATA
# title: Waits for approval
require_approval contains {
	"code": "tool_approval",
	"message": concat("", [mcp.tool, " needs approval."]),
	"access_request": access_request,
} if {
	mcp.is_call
	mcp.tool in mcp.approve_tools
}

require_approval contains {
	"code": "amount_approval",
	"message": concat("", [member, " above ", json.marshal(bound.approve_above), " needs approval."]),
	"access_request": access_request,
} if {
	mcp.is_call
	some member, bound in mcp.limits
	amounts.above(arguments, member, bound.approve_above)
}

access_request := {
	"groups": mcp.approvers,
	"quorum": 1,
	"ttl_seconds": 900,
	"uses": 1,
	"reason_required": true,
}

permitted if {
	named
	not refused
}

refused if mcp.tool in mcp.refused_tools

named if mcp.tool in mcp.allowed_tools

named if mcp.tool in mcp.approve_tools

named if {
	"*" in mcp.allowed_tools
	mcp.tool != ""
	not dangerous
}

dangerous if {
	some word in ["bash", "command", "credential", "delete", "destroy", "password", "secret", "shell", "sudo", "terminate", "truncate"]
	contains(lower(mcp.tool), word)
}

# Too short to be looked for inside of other words: `retrieval` has `eval`.
dangerous if {
	some word in split(strings.replace_n({"-": "_", ".": "_", "/": "_", ":": "_", " ": "_"}, lower(mcp.tool)), "_")
	word in short
}

# `evalScript`, `safeEval`.
dangerous if {
	some word in short
	contains(mcp.tool, concat("", [upper(substring(word, 0, 1)), substring(word, 1, -1)]))
}

dangerous if {
	some word in short
	startswith(mcp.tool, word)
	next := substring(mcp.tool, count(word), 1)
	next != lower(next)
}

short := {"cmd", "drop", "eval", "exec", "execute", "kill", "purge", "rm", "run", "spawn", "sql", "wipe", "write"}

default arguments := null

arguments := input.action.properties.arguments
