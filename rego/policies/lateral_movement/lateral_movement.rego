# METADATA
# title: Nowhere else from a host
# description: |
#   From a host an agent goes to what data.config.ssh.destinations names, and forwards ports to what
#   data.config.ssh.forwards names, and nowhere else: what is reached past the gateway is neither judged nor recorded.
package sallyport.policies.lateral_movement

import data.sallyport.lib.addresses
import data.sallyport.lib.ssh
import data.sallyport.lib.ssh_destinations

# METADATA
# title: Allowed
# description: A connection that the agent opens through the host, to one declared place.
allow if {
	forwarding
	input.subject.type == "agent"
	input.context.complete == true
	ssh.forward.kind == "direct"
	count(ssh.destinations) > 0
	every destination in ssh.destinations {
		ssh_destinations.may_forward(destination)
	}
}

forwarding if {
	ssh.is_ssh
	input.action.name == "forward"
}

# METADATA
# title: Refused
deny contains {"code": "destination_unknown", "message": message} if {
	some destination in ssh.destinations
	not destination.dynamic == false
	message := "Where this goes is known only when it runs. Name the host and the port."
}

deny contains {"code": "destination_refused", "message": message} if {
	not forwarding
	some destination in ssh.destinations
	destination.dynamic == false
	not ssh_destinations.may_reach(destination)
	message := concat("", [
		"Agents may not go to ",
		addresses.of(destination),
		" from a host. Ask for it to be added to ssh.destinations, or connect to it through the gateway.",
	])
}

deny contains {"code": "forward_refused", "message": message} if {
	forwarding
	some destination in ssh.destinations
	destination.dynamic == false
	not ssh_destinations.may_forward(destination)
	message := concat("", [
		"Ports may not be forwarded to ",
		addresses.of(destination),
		". Ask for it to be added to ssh.forwards, or connect to it through the gateway.",
	])
}

deny contains {"code": "forward_kind_refused", "message": message} if {
	forwarding
	not ssh.forward.kind == "direct"
	message := "Agents may forward a local port to a declared destination; no remote ports, sockets, agents or displays."
}
