# METADATA
# title: Nothing that cannot be undone
# description: |
#   Deleting what belongs to the system, writing to disks, stopping machines and services, killing by name, rewriting
#   what others have pushed. The allow-list does not let these through either; here they are told why.
package sallyport.policies.destructive_commands

import data.sallyport.lib.ssh

# METADATA
# title: Refused
deny contains {"code": "system_files", "message": message} if {
	some [path, "delete"] in ssh.uses
	of_the_system(split(trim(ssh.slashed(path), "/"), "/"))
	message := concat("", ["Agents may not delete ", path, ": it belongs to the system, or everything is below it."])
}

deny contains {"code": "delete_everything", "message": message} if {
	some command in ssh.commands
	command.name in {"rm", "shred", "unlink"}
	some word in command.argv
	word in everything
	message := concat("", ["Agents may not delete everything: name what ", command.name, " is to delete."])
}

deny contains {"code": "delete_everything", "message": message} if {
	some command in ssh.commands
	command.name == "find"
	"-delete" in command.argv
	message := "Agents may not delete whatever is found. List it first, and name what is to be deleted."
}

deny contains {"code": "disk", "message": message} if {
	some name in ssh.names
	writes_disks(name)
	message := concat("", ["Agents may not change disks and file systems: ", name, " is refused."])
}

deny contains {"code": "disk", "message": message} if {
	some path in ssh.written
	ssh.raw_device(path)
	message := concat("", ["Agents may not write to ", path, "."])
}

deny contains {"code": "disk", "message": message} if {
	some command in ssh.commands
	some word in command.argv
	startswith(word, "of=")
	path := substring(word, 3, -1)
	ssh.raw_device(path)
	message := concat("", ["Agents may not write to ", path, "."])
}

deny contains {"code": "machine_stop", "message": message} if {
	some name in ssh.names
	name in stopping
	message := concat("", ["Agents may not stop or restart the machine: ", name, " is refused."])
}

deny contains {"code": "kill_many", "message": message} if {
	some name in ssh.names
	name in {"killall", "killall5", "pkill", "skill", "snice", "slay"}
	message := concat("", ["Agents may not kill by name: ", name, " may end more than is meant. Use kill with a number."])
}

deny contains {"code": "kill_many", "message": "Agents may not end every process, nor the first."} if {
	some command in ssh.commands
	command.name == "kill"
	some word in array.slice(command.argv, 2, count(command.argv))
	trim_left(trim_left(word, "-"), "0") in {"1", ""}
}

deny contains {"code": "kill_many", "message": "Agents may not end every process, nor the first."} if {
	some command in ssh.commands
	command.name == "kill"
	count(command.argv) == 2
	trim_left(command.argv[1], "0") in {"1", ""}
}

deny contains {"code": "truncate", "message": "Agents may not cut files off: write a new one, or ask."} if {
	"truncate" in ssh.names
}

deny contains {"code": "service_stop", "message": message} if {
	some command in ssh.commands
	command.name in {"chkconfig", "initctl", "rc-service", "rc-update", "service", "systemctl", "update-rc.d"}
	some word in command.argv
	word in service_stops
	message := concat("", ["Agents may not ", word, " services."])
}

deny contains {"code": "history_rewrite", "message": message} if {
	some command in ssh.commands
	command.name == "git"
	"push" in command.subcommands
	some word in command.argv
	rewrites(word)
	message := concat("", ["Agents may not rewrite or delete what others have pushed: ", word, " is refused."])
}

deny contains {"code": "workload_delete", "message": message} if {
	some command in ssh.commands
	some word in command.subcommands
	word in workload_ends[command.name]
	message := concat("", ["Agents may not ", command.name, " ", word, "."])
}

deny contains {"code": "firewall", "message": message} if {
	some name in ssh.names
	name in {"ebtables", "firewall-cmd", "ip6tables", "iptables", "iptables-restore", "nft", "ufw"}
	message := concat("", ["Agents may not change the firewall: ", name, " is refused."])
}

# One part is a directory at the top, or its only one; a home is two.
of_the_system(path) if count(path) == 1

of_the_system(path) if path[0] in system_directories

of_the_system(path) if {
	path[0] in {"home", "media", "mnt", "opt", "srv", "users", "var"}
	count(path) == 2
}

system_directories := {
	"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "usr",
}

everything := {
	"*", "--no-preserve-root", ".", "..", "../", "../*", "./", "./*", "/", "/*", "~", "~/", "~/*",
}

writes_disks(name) if name in disk_tools

writes_disks(name) if startswith(name, "mkfs")

disk_tools := {
	"badblocks", "blkdiscard", "cfdisk", "cryptsetup", "debugfs", "dmsetup", "fdisk", "fsck", "hdparm", "losetup",
	"lvextend", "lvreduce", "lvremove", "mdadm", "mke2fs", "mkswap", "mount", "nvme", "parted", "pvremove",
	"resize2fs", "sfdisk", "sgdisk", "shred", "swapoff", "swapon", "tune2fs", "umount", "vgreduce", "vgremove",
	"wipefs", "zfs", "zpool",
}

stopping := {"halt", "init", "kexec", "poweroff", "reboot", "shutdown", "telinit", "runlevel"}

service_stops := {
	"daemon-reexec", "disable", "emergency", "exit", "halt", "hibernate", "hybrid-sleep", "isolate", "kexec",
	"kill", "mask", "poweroff", "reboot", "remove", "rescue", "revert", "soft-reboot", "stop", "suspend",
	"switch-root",
}

rewrites(word) if word in {"-d", "--delete", "--mirror", "--prune"}

rewrites(word) if startswith(word, "--force")

rewrites(word) if startswith(word, "+")

rewrites(word) if startswith(word, ":")

# `-f` by itself or among others: `-uf`
rewrites(word) if {
	startswith(word, "-")
	not startswith(word, "--")
	contains(word, "f")
}

containers := {"down", "kill", "pause", "prune", "restart", "rm", "rmi", "stop"}

orchestrator := {"cordon", "delete", "destroy", "drain", "evict", "replace", "rollback", "scale", "taint", "uninstall"}

workload_ends := {
	"docker": containers,
	"docker-compose": containers,
	"podman": containers,
	"nerdctl": containers,
	"crictl": containers,
	"kubectl": orchestrator,
	"oc": orchestrator,
	"helm": orchestrator,
	"terraform": orchestrator,
}
