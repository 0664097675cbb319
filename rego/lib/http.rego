# METADATA
# title: Reading HTTP requests
# description: |
#   Short names for what a request asks, and for what data.config.http says of its upstream. They are undefined when the
#   operation is no HTTP request, so that what is made from them is then empty.
package sallyport.lib.http

default is_request := false

is_request if {
	input.resource.type == "route"
	input.action.properties.protocol == "http"
}

# What an agent asks, whom these policies are about.
default judged := false

judged if {
	is_request
	input.subject.type == "agent"
}

# A message over a WebSocket that was opened.
default is_message := false

is_message if {
	is_request
	input.action.name == "websocket_message"
}

reading if input.action.name in {"GET", "HEAD", "OPTIONS"}

# What data.config.http says of the upstream. Each member has a name here, because `opa check` does not see into what is
# named by authors of data: a misspelt name of this file is an error when the bundle is built.
upstream := data.config.http.upstreams[input.resource.properties.upstream] if is_request

write_routes := upstream.write

approve_routes := upstream.approve

export_routes := upstream.exports

websocket_routes := upstream.websockets

message_rules := upstream.messages[template]

limits := upstream.limits[route]

mutations := upstream.graphql.mutations

introspection := upstream.graphql.introspection

refused_fields := upstream.graphql.refuse

json_masks := upstream.masks.json

text_masks := upstream.masks.text

# Empty where no route is known.
default template := ""

template := input.resource.properties.template if is_request

# `POST /refunds`, as data.config.http names routes. Without a template it is none that can be named there.
default route := ""

route := concat(" ", [input.action.name, template]) if template != ""

# Which upstream it is, for messages.
default upstream_name := "this upstream"

upstream_name := input.resource.properties.upstream if is_request

# A route, or a path that data.config.http declares for an upstream that has none.
known if template != ""

known if {
	template == ""
	some prefix in upstream.paths
	below(input.resource.properties.path, prefix)
}

# Both canonical; `prefix` may end in a slash.
below(path, prefix) if startswith(concat("", [path, "/"]), concat("", [trim_right(prefix, "/"), "/"]))

# Everything but a body that data.config.http lets through unread.
accounted_for if input.context.complete == true

accounted_for if accepted_unread

accepted_unread if {
	input.action.properties.incomplete == ["body_opaque"]
	is_opaque
}

is_opaque if route in upstream.opaque

# The route takes GraphQL, and the gateway has read what was asked of it.
is_graphql if {
	is_graphql_route
	input.action.name == "POST"
	count(input.action.properties.graphql) > 0
}

is_graphql_route if template in upstream.graphql.routes

# The words of the path that the client did not choose, in lower case: those of the template, else all of them.
words := [word | some word in split(lower(template), "/"); word != ""; not startswith(word, "{")] if {
	template != ""
} else := [lower(word) | some word in input.action.properties.segments; word != ""] if {
	is_request
}

# Who approves what data.config.http holds.
default approvers := ["approvers"]

approvers := upstream.approvers
