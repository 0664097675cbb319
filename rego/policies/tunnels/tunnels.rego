# METADATA
# title: Tunnels to declared destinations
# description: |
#   A forward proxy passes on bytes that nobody reads: only to what data.config.http.destinations names. A known upstream
#   goes by its name there, because what is inside is then judged in turn.
package sallyport.policies.tunnels

import data.sallyport.lib.addresses

# METADATA
# title: Allowed
allow if {
	asked
	input.subject.type == "agent"
	input.context.complete == true
	count(input.action.properties.destinations) > 0
	every destination in input.action.properties.destinations {
		declared(destination)
	}
}

default asked := false

asked if {
	input.resource.type == "destination"
	input.action.name == "connect_tunnel"
	input.action.properties.protocol == "http"
}

# METADATA
# title: Refused
deny contains {"code": "tunnel_refused", "message": message} if {
	asked
	some destination in input.action.properties.destinations
	not declared(destination)
	message := concat("", [
		"Agents may not open a tunnel to ",
		addresses.of(destination),
		". Ask for it to be added to http.destinations, or use an upstream of the gateway.",
	])
}

deny contains {"code": "cloud_metadata", "message": message} if {
	asked
	some destination in input.action.properties.destinations
	metadata(destination.host)
	message := "Agents may not ask the cloud for the credentials of this machine."
}

declared(destination) if {
	destination.upstream != ""
	destination.upstream in data.config.http.destinations
}

declared(destination) if {
	destination.upstream == ""
	addresses.of(destination) in data.config.http.destinations
}

metadata(host) if lower(host) in addresses.metadata

metadata(host) if {
	some beginning in ["169.254.", "::ffff:169.254.", "::ffff:a9fe:", "fe80:"]
	startswith(lower(host), beginning)
}
