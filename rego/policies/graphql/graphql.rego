# METADATA
# title: GraphQL by operation
# description: |
#   On the routes that data.config.http says take GraphQL, agents query. Mutations are allowed by the name of their root
#   fields, the schema is shown only where `introspection` says so, and fields named in `refuse` are out of reach wherever
#   they stand.
package sallyport.policies.graphql

import data.sallyport.lib.http

# METADATA
# title: Allowed
allow if {
	http.judged
	http.accounted_for
	http.is_graphql
	not input.action.properties.upgrade
	every operation in input.action.properties.graphql {
		permitted(operation)
	}
	count(deny) == 0
}

permitted(operation) if operation.type == "query"

permitted(operation) if {
	operation.type == "mutation"
	count(operation.fields) > 0
	every field in operation.fields {
		root(field) in http.mutations
	}
}

# METADATA
# title: Refused
deny contains {"code": "mutation_refused", "message": message} if {
	http.judged
	http.is_graphql
	some operation in input.action.properties.graphql
	operation.type == "mutation"
	not permitted(operation)
	message := concat("", [
		"Agents may not change this. Ask for the mutation to be added to http.upstreams.",
		http.upstream_name,
		".graphql.mutations.",
	])
}

deny contains {"code": "subscription_refused", "message": message} if {
	http.judged
	http.is_graphql
	some operation in input.action.properties.graphql
	not operation.type in {"query", "mutation"}
	message := "Agents query; they do not subscribe."
}

deny contains {"code": "introspection_refused", "message": message} if {
	http.judged
	http.is_graphql
	not http.introspection == true
	some operation in input.action.properties.graphql
	some field in operation.fields
	root(field) in {"__schema", "__type"}
	message := "Agents may not read the schema. Use the operations that they were given."
}

deny contains {"code": "field_refused", "message": message} if {
	http.judged
	http.is_graphql
	some operation in input.action.properties.graphql
	some field in operation.fields
	some refused in http.refused_fields
	contains(concat("", [".", field.path, "."]), concat("", [".", refused, "."]))
	message := concat("", ["Agents may not read ", field.path, ". Leave it out."])
}

# A query in a URL, a hash in place of one, several in a list.
deny contains {"code": "graphql_unread", "message": message} if {
	http.judged
	http.is_graphql_route
	not http.is_graphql
	input.action.name != "OPTIONS"
	message := "Send one GraphQL document as JSON, by POST."
}

root(field) := split(field.path, ".")[0]
