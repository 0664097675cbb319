# METADATA
# title: Files over SFTP
# description: |
#   An agent may list, read and write files over SFTP where data.config.ssh.paths lets it. What counts is where a path
#   leads on the host, links followed; an operation whose path the host could not resolve is refused.
package sallyport.policies.ssh_files

import data.sallyport.lib.ssh
import data.sallyport.lib.ssh_paths

# METADATA
# title: Allowed
allow if {
	judged
	input.context.complete == true
	count(ssh.sftp_access) > 0
	path_known
	target_known
	count(deny) == 0
}

judged if {
	ssh.is_ssh
	input.action.name == "sftp"
	input.subject.type == "agent"
}

# Asking where a path leads is how it becomes known.
path_known if ssh.sftp.operation == "real_path"

path_known if startswith(ssh.sftp.resolved, "/")

target_known if count(ssh.sftp_operations[ssh.sftp.operation].target) == 0

target_known if ssh.sftp.operation == "open"

target_known if startswith(ssh.sftp.target_resolved, "/")

# METADATA
# title: Refused
deny contains {"code": "path_refused", "message": ssh_paths.message(path, access)} if {
	judged
	some access in ssh.sftp_access
	path := ssh.sftp.resolved
	path != ""
	not ssh_paths.allowed(path, access)
}

deny contains {"code": "path_refused", "message": ssh_paths.message(path, access)} if {
	judged
	some access in ssh.sftp_operations[ssh.sftp.operation].target
	path := ssh.sftp.target_resolved
	path != ""
	not ssh_paths.allowed(path, access)
}

# What was written need not be allowed where it leads somewhere that is; but it must not be refused by name.
deny contains {"code": "path_refused", "message": message} if {
	judged
	some member in ["path", "target"]
	path := ssh.sftp[member]
	ssh_paths.refused(path)
	message := concat("", ["Agents may not use ", path, "."])
}

deny contains {"code": "path_unknown", "message": message} if {
	judged
	not path_known
	message := "The host could not say where this path leads."
}

deny contains {"code": "path_unknown", "message": message} if {
	judged
	not target_known
	message := "The host could not say where the other path leads."
}
