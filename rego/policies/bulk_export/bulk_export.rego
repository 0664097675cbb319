# METADATA
# title: No more than is looked at
# description: |
#   An answer holds at most data.config.limits.max_bytes, and a page at most data.config.http.page_size entries (1000
#   without it). Routes that export everything are refused unless data.config.http names them in `exports`.
package sallyport.policies.bulk_export

import data.sallyport.lib.http

# METADATA
# title: Refused
deny contains {"code": "page_too_large", "message": message} if {
	http.judged
	not exported
	some name, value in asked
	too_large(name, value)
	message := concat("", ["Ask for pages of 1 to ", format_int(page_size, 10), " entries."])
}

deny contains {"code": "export_refused", "message": message} if {
	http.judged
	not exported
	some word in http.words
	some piece in split(word, ".")
	piece in exporting
	message := concat("", [
		"Agents may not export all there is. Read it in pages, or ask for the route to be added to http.upstreams.",
		http.upstream_name,
		".exports.",
	])
}

# METADATA
# title: Required along with an allow
obligations contains {
	"id": "answer_cap",
	"type": "max_bytes",
	"properties": {"value": data.config.limits.max_bytes},
} if {
	http.is_request
	not exported
	not input.action.properties.upgrade
}

exported if http.route in http.export_routes

# The values by their names, in the query and in what a GraphQL field is given. Without what separates words:
# `page[size]`, `page-size` and `pageSize` are one.
asked[normalised(name)] contains value if {
	some name, values in input.action.properties.query
	some value in values
}

asked[normalised(name)] contains value if {
	some operation in input.action.properties.graphql
	some field in operation.fields
	walk(field.arguments, [path, value])
	some name in array.slice(path, count(path) - 1, count(path))
	is_string(name)
}

normalised(name) := strings.replace_n({"_": "", "-": "", "[": "", "]": "", "$": "", ".": ""}, lower(name))

too_large(name, values) if {
	name in sizes
	some value in values
	not within(value)
}

# They mean other things as well.
too_large(name, values) if {
	name in perhaps_sizes
	some value in values
	to_number(value) > page_size
}

too_large(name, values) if {
	name in perhaps_sizes
	some value in values
	to_number(value) < 0
}

# `all`, `-1` and `0` are no bound.
within(value) if {
	not is_null(value)
	not is_boolean(value)
	number := to_number(value)
	number >= 1
	number <= page_size
}

sizes := {
	"batchsize", "itemsperpage", "limit", "maxitems", "maxpagesize", "maxresults", "pagelimit", "pagesize", "perpage",
	"recordsperpage", "resultsperpage", "rowsperpage", "take", "top",
}

perhaps_sizes := {"count", "first", "last", "max", "n", "num", "rows", "size"}

exporting := {"backup", "bulk", "csv", "download", "dump", "export", "exports", "parquet", "snapshot", "xlsx", "zip"}

default page_size := 1000

page_size := data.config.http.page_size
