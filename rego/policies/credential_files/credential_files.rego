# METADATA
# title: Credentials are out of reach
# description: |
#   Keys, passwords, tokens, histories and the environments of processes, by where they usually are: in the files of an
#   operation, and in every word of it. What an organisation keeps elsewhere belongs in data.config.ssh.paths.refuse.
package sallyport.policies.credential_files

import data.sallyport.lib.addresses
import data.sallyport.lib.ssh

# METADATA
# title: Refused
deny contains {"code": "credential_file", "message": message(concat(", ", sort(found)))} if count(found) > 0

deny contains {"code": "process_memory", "message": message(concat("", ["/proc/…/", entry]))} if {
	"proc" in ssh.distinct_parts
	some index
	ssh.parts[index] == "proc"
	some offset in [1, 2]
	entry := ssh.parts[index + offset]
	entry in process_entries
}

deny contains {"code": "process_memory", "message": message("the environment of processes")} if {
	some command in ssh.commands
	command.name == "ps"
	some word in array.slice(command.argv, 1, count(command.argv))
	contains(lower(word), "e")
	trim(word, "aAceEfghjklmnorsStTuUvwxXZ") == ""
}

# What is below cannot be told apart.
deny contains {"code": "credential_directory", "message": message} if {
	some path in ssh.read
	holds_credentials(ssh.slashed(path))
	message := concat("", ["Below ", path, " are credentials that agents may not read. Name what is needed of it."])
}

deny contains {"code": "disk", "message": message} if {
	some path in ssh.read
	ssh.raw_device(path)
	message := concat("", ["Agents may not read from ", path, ": a disk holds every file."])
}

deny contains {"code": "cloud_metadata", "message": message} if {
	some destination in ssh.destinations
	destination.host in (addresses.metadata | {"instance-data", "metadata"})
	message := "Agents may not ask the cloud for the credentials of this machine."
}

deny contains {"code": "cloud_metadata", "message": message} if {
	some part in ssh.distinct_parts
	part in addresses.metadata
	message := "Agents may not ask the cloud for the credentials of this machine."
}

message(what) := concat("", [what, " may hold credentials, which no agent may use."])

# What speaks of a credential, by the names people know. One path can do so in several parts: it is one reason.
found contains name if {
	some name in ssh.distinct_parts
	name in names
}

found contains part if {
	some part in dotted
	some piece in split(part, ".")
	piece in pieces
}

# `.netrc.bak`, `.env.production`
found contains part if {
	some part in dotted
	startswith(part, ".")
	concat("", [".", split(part, ".")[1]]) in names
}

# `.key` and `.env` alone are what jq calls a field; `.env` the file is one of `names`.
found contains part if {
	some part in dotted
	not startswith(part, ".")
	some piece in array.slice(split(part, "."), 1, count(part))
	piece in endings
}

found contains trim_suffix(place, "/") if {
	text := ssh.text
	some place in places
	contains(text, place)
}

found contains "the list of passwords" if {
	some command in ssh.commands
	command.name == "getent"
	some word in command.argv
	word in {"shadow", "gshadow"}
}

dotted contains part if {
	some part in ssh.distinct_parts
	contains(part, ".")
}

holds_credentials(path) if path in directories

holds_credentials(path) if endswith(path, "/.config/")

holds_credentials(path) if {
	some homes in ["/home/", "/users/"]
	startswith(path, homes)
	count(split(path, "/")) == 4
}

# Of files and directories anywhere.
names := {
	".ash_history", ".aws", ".azure", ".bash_history", ".boto", ".dockercfg", ".env", ".envrc", ".git-credentials",
	".gnupg", ".history", ".htpasswd", ".ksh_history", ".kube", ".lesshst", ".mylogin.cnf", ".mysql_history",
	".netrc", ".node_repl_history", ".npmrc", ".password-store", ".pg_service.conf", ".pgpass", ".psql_history",
	".pypirc", ".python_history", ".rediscli_history", ".s3cfg", ".sh_history", ".sqlite_history", ".ssh",
	".terraform.d", ".terraformrc", ".vault-token", ".viminfo", ".zhistory", ".zsh_history", "_netrc",
	"authorized_keys", "fish_history", "gshadow", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa", "krb5.keytab",
	"kubeconfig", "master.passwd", "opasswd", "pgpass.conf", "sudoers", "sudoers.d", "wp-config.php",
}

# Of names that have several: `id_rsa.bak`, `store.p12`.
pieces := {
	"id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_rsa", "jks", "kdb", "kdbx", "keystore",
	"keytab", "kubeconfig", "p12", "pem", "pfx", "pkcs12", "ppk", "tfstate",
}

endings := {"env", "key"}

# By where they are, and all that begins so: `/etc/shadow-`, `/etc/shadow.bak`.
places := {
	"/.cargo/credentials", "/.config/gcloud/", "/.config/gh/", "/.config/op/", "/.docker/config.json",
	"/.git/config/", "/.local/share/keyrings/", "/dev/kmem/", "/dev/mem/", "/etc/kubernetes/",
	"/etc/letsencrypt/archive/", "/etc/letsencrypt/live/", "/etc/pki/tls/private/", "/etc/security/opasswd",
	"/etc/shadow", "/etc/ssh/ssh_host_", "/etc/ssl/private/", "/proc/kcore/", "/run/secrets/", "/tmp/krb5cc",
	"/var/backups/shadow", "/var/lib/kubelet/", "/var/lib/sss/secrets/",
}

# Of a process: what it was told, what it has open, and doors to every other place.
process_entries := {
	"..", "auxv", "cwd", "environ", "exe", "fd", "fdinfo", "map_files", "mem", "pagemap", "root", "stack", "task",
}

directories := {
	"/", "/boot/", "/dev/", "/etc/", "/etc/ssh/", "/etc/ssl/", "/home/", "/proc/", "/root/", "/run/", "/users/",
	"/var/", "/var/backups/", "/var/lib/", "/var/run/",
}
