# METADATA
# title: Addresses of the network
# description: How a destination is written, and addresses that nothing goes to.
package sallyport.lib.addresses

# `host:port`, `[address]:port` for IPv6; without a port that is known, port 0, which no author declares.
of(destination) := concat("", [bracketed(destination.host), ":", format_int(destination.port, 10)])

bracketed(host) := concat("", ["[", host, "]"]) if {
	contains(host, ":")
} else := host

# Link-local addresses at which clouds hand out the credentials of a machine, and the names of them.
metadata := {
	"0251.0376.0251.0376", "0xa9fea9fe", "100.100.100.200", "169.254.169.253", "169.254.169.254", "169.254.170.2",
	"169.254.170.23", "192.0.0.192", "2852039166", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254",
	"fd20:ce::254", "metadata.azure.internal", "metadata.goog", "metadata.google.internal",
	"metadata.tencentyun.com",
}
