# METADATA
# title: Where agents may go from a host
# description: What data.config.ssh.destinations says of commands, and data.config.ssh.forwards of forwarded ports.
package sallyport.lib.ssh_destinations

import data.sallyport.lib.addresses

may_reach(destination) if {
	destination.dynamic == false
	destination.host in data.config.ssh.destinations
	not ambiguous(destination.host)
}

may_reach(destination) if {
	destination.dynamic == false
	addresses.of(destination) in data.config.ssh.destinations
}

may_forward(destination) if {
	destination.dynamic == false
	destination.upstream != ""
	destination.upstream in data.config.ssh.forwards
}

may_forward(destination) if {
	destination.dynamic == false
	addresses.of(destination) in data.config.ssh.forwards
}

# A host that reads as host and port.
ambiguous(host) if {
	contains(host, ":")
	not startswith(host, "[")
	count(split(host, ":")) == 2
}
