# METADATA
# title: Where agents may go from a host
# description: What data.config.ssh.destinations says of commands, and data.config.ssh.forwards of forwarded ports.
package sallyport.lib.ssh_destinations

may_reach(destination) if {
	destination.dynamic == false
	destination.host in data.config.ssh.destinations
	not ambiguous(destination.host)
}

may_reach(destination) if {
	destination.dynamic == false
	address(destination) in data.config.ssh.destinations
}

may_forward(destination) if {
	destination.dynamic == false
	destination.upstream != ""
	destination.upstream in data.config.ssh.forwards
}

may_forward(destination) if {
	destination.dynamic == false
	address(destination) in data.config.ssh.forwards
}

# A host that reads as host and port.
ambiguous(host) if {
	contains(host, ":")
	not startswith(host, "[")
	count(split(host, ":")) == 2
}

# `host:port`, `[address]:port` for IPv6; without a port that is known, port 0, which no author declares.
address(destination) := concat("", [bracketed(destination.host), ":", format_int(destination.port, 10)])

bracketed(host) := concat("", ["[", host, "]"]) if {
	contains(host, ":")
} else := host
