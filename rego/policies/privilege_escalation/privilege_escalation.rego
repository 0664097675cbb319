# METADATA
# title: No other user, no more rights
# description: |
#   Whatever changes who a command runs as, what a user or a program may do, or which machine's boundaries hold: sudo and
#   its like, accounts, setuid programs, capabilities, namespaces, and containers with a hold on their host.
package sallyport.policies.privilege_escalation

import data.sallyport.lib.ssh

# METADATA
# title: Refused
deny contains {"code": "run_as_other", "message": message} if {
	some command in ssh.commands
	is_string(command.run_as)
	count(switched) == 0
	message := "Agents run commands as the login itself, not as another user."
}

deny contains {"code": "run_as_other", "message": message} if {
	count(switched) > 0
	message := concat("", ["Agents run commands as the login itself: ", concat(", ", sort(switched)), " is refused."])
}

switched := (ssh.names | ssh.wrappers) & switching if ssh.is_ssh

deny contains {"code": "account_change", "message": message} if {
	some name in ssh.names
	name in accounts
	message := concat("", ["Agents may not change accounts, groups or kernel modules: ", name, " is refused."])
}

deny contains {"code": "account_change", "message": message} if {
	some path in ssh.written
	slashed := ssh.slashed(path)
	some file in account_files
	startswith(slashed, file)
	message := concat("", ["Agents may not change ", path, ": it says who may do what."])
}

deny contains {"code": "setuid", "message": message} if {
	some command in ssh.commands
	command.name in {"chmod", "install", "mkdir", "mkfifo", "mknod"}
	some word in command.argv
	sets_user(trim_prefix(trim_prefix(word, "--mode="), "-m"))
	message := "Agents may not make a program run as its owner or group."
}

deny contains {"code": "setuid", "message": message} if {
	"set_id" in ssh.sftp.details
	message := "Agents may not make a program run as its owner or group."
}

deny contains {"code": "container_escape", "message": message} if {
	some command in ssh.commands
	command.name in {"docker", "podman", "nerdctl", "ctr", "lxc", "lxd", "incus"}
	some subcommand in command.subcommands
	subcommand in {"run", "create", "exec", "config", "init", "launch"}
	some word in command.argv
	some beginning in holding_the_host
	startswith(word, beginning)
	message := concat("", ["Containers that agents start have no hold on their host: ", word, " is refused."])
}

switching := {
	"bwrap", "capsh", "chroot", "doas", "fakeroot", "firejail", "flatpak-spawn", "gosu", "ksu", "lxc-attach",
	"machinectl", "newgrp", "nsenter", "pkexec", "run0", "runuser", "setarch", "setpriv", "sg", "start-stop-daemon",
	"su", "su-exec", "sudo", "sudoedit", "sux", "systemd-nspawn", "systemd-run", "unshare",
}

accounts := {
	"addgroup", "adduser", "chage", "chfn", "chgpasswd", "chpasswd", "chsh", "delgroup", "deluser", "depmod",
	"gpasswd", "groupadd", "groupdel", "groupmod", "insmod", "kmod", "modprobe", "newusers", "passwd", "pwconv",
	"rmmod", "setcap", "useradd", "userdel", "usermod", "vigr", "vipw", "visudo",
}

account_files := {
	"/etc/doas.conf/", "/etc/group", "/etc/gshadow", "/etc/nsswitch.conf/", "/etc/passwd", "/etc/polkit-1/",
	"/etc/security/", "/etc/shadow", "/etc/subgid", "/etc/subuid", "/etc/sudo.conf/", "/etc/sudoers",
}

# Docker's options may be written with `=` or with a word of their own.
holding_the_host := {
	"--cap-add", "--cgroupns=host", "--device", "--ipc=host", "--mount", "--net=host", "--network=host", "--pid",
	"--pid=host", "--privileged", "--security-opt", "--user", "--userns", "--uts=host", "--volume", "-u", "-v",
	"security.privileged",
}

# `4755`, `02755`
sets_user(mode) if {
	trim(mode, "01234567") == ""
	digits := trim_left(mode, "0")
	count(digits) >= 4
	not startswith(digits, "1")
}

sets_user(mode) if {
	trim(mode, "01234567") == ""
	count(trim_left(mode, "0")) > 4
}

# `u+s`, `g=rxs`, `+s`
sets_user(mode) if {
	contains(mode, "s")
	trim(mode, "ugoarwxXst,+-=01234567") == ""
	some sign in ["+", "="]
	contains(mode, sign)
}
