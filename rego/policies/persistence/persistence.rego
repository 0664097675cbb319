# METADATA
# title: Nothing that stays behind
# description: |
#   What runs later, for somebody else or again: jobs, services, keys that log in, what shells and logins read, hooks of
#   repositories, the system's own programs. Whichever way it is written: commands, redirections, transfers, SFTP.
package sallyport.policies.persistence

import data.sallyport.lib.ssh

# METADATA
# title: Refused
deny contains {"code": "runs_later", "message": message} if {
	some path in ssh.written
	slashed := ssh.slashed(path)
	lasting(slashed)
	message := concat("", ["Agents may not change ", path, ": it is run or trusted later."])
}

# The names of what is uploaded come with the files: into a home, `.bashrc` may be one of them.
deny contains {"code": "written_over_home", "message": message} if {
	some path in ssh.written
	encloses(ssh.slashed(path))
	message := concat("", ["Agents may not write to ", path, " as a whole. Name a file or a directory below it."])
}

deny contains {"code": "job", "message": message} if {
	some command in ssh.commands
	command.name in {"anacron", "at", "batch", "crontab"}
	not lists_only(command)
	message := concat("", ["Agents may not leave jobs behind: ", command.name, " is refused."])
}

deny contains {"code": "service_change", "message": message} if {
	some command in ssh.commands
	some word in command.argv
	word in service_changes[command.name]
	message := concat("", ["Agents may not change what is started: ", command.name, " ", word, " is refused."])
}

deny contains {"code": "hook", "message": message} if {
	some command in ssh.commands
	command.name == "git"
	some word in command.argv
	some setting in git_runs
	contains(lower(word), setting)
	message := concat("", ["Agents may not make git run programs: ", setting, " is refused."])
}

deny contains {"code": "login_key", "message": "Agents may not leave keys behind that log in."} if {
	"ssh-copy-id" in ssh.names
}

lasting(path) if {
	some name in split(trim(path, "/"), "/")
	name in names
}

lasting(path) if {
	some place in anywhere
	contains(path, place)
}

lasting(path) if {
	some place in system
	startswith(path, place)
}

encloses(path) if path in directories

encloses(path) if endswith(path, "/.config/")

encloses(path) if endswith(path, "/.git/")

encloses(path) if {
	some homes in ["/home/", "/users/"]
	startswith(path, homes)
	count(split(path, "/")) == 4
}

lists_only(command) if {
	command.name == "crontab"
	command.argv == ["crontab", "-l"]
}

# Of files and directories anywhere: what shells, logins, terminals, mail and other hosts' rsh read.
names := {
	".bash_aliases", ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".cshrc", ".forward", ".gitconfig",
	".inputrc", ".kshrc", ".login", ".logout", ".mkshrc", ".pam_environment", ".profile", ".pythonrc", ".rhosts",
	".screenrc", ".shosts", ".ssh", ".tcshrc", ".tmux.conf", ".vim", ".vimrc", ".xinitrc", ".xprofile", ".xsession",
	".xsessionrc", ".zlogin", ".zlogout", ".zprofile", ".zshenv", ".zshrc", "authorized_keys", "authorized_keys2",
	"crontab", "sudoers", "sudoers.d",
}

anywhere := {
	"/.config/autostart/", "/.config/environment.d/", "/.config/fish/", "/.config/git/", "/.config/nvim/",
	"/.config/systemd/", "/.git/config/", "/.git/hooks/", "/.git/modules/", "/.local/bin/",
	"/.local/share/systemd/", "/.oh-my-zsh/", "/systemd/system/", "/systemd/user/",
}

# And all that begins so: `/etc/cron.d`, `/etc/rc.local`.
system := {
	"/bin/", "/boot/", "/etc/anacrontab/", "/etc/apt/", "/etc/bash", "/etc/cron", "/etc/csh", "/etc/environment",
	"/etc/fstab/", "/etc/inetd.conf/", "/etc/init", "/etc/ld.so.", "/etc/logrotate.", "/etc/modprobe.d/",
	"/etc/modules", "/etc/motd", "/etc/network/", "/etc/pam.", "/etc/periodic/", "/etc/profile", "/etc/rc",
	"/etc/security/", "/etc/skel/", "/etc/ssh/", "/etc/systemd/", "/etc/udev/", "/etc/update-motd.d/", "/etc/xdg/",
	"/etc/xinetd", "/etc/yum", "/etc/zlog", "/etc/zsh", "/lib/", "/lib32/", "/lib64/", "/run/systemd/", "/sbin/",
	"/usr/", "/var/run/systemd/", "/var/spool/anacron/", "/var/spool/at", "/var/spool/cron",
}

directories := {
	"/", "/etc/", "/home/", "/root/", "/run/", "/users/", "/var/", "/var/lib/", "/var/run/", "/var/spool/",
}

service_changes := {
	"chkconfig": {"--add", "--level", "on"},
	"loginctl": {"enable-linger"},
	"rc-update": {"add"},
	"systemctl": {
		"add-requires", "add-wants", "daemon-reexec", "daemon-reload", "edit", "enable", "import-environment",
		"link", "preset", "preset-all", "reenable", "set-default", "set-environment", "set-property", "start",
		"unmask",
	},
	"update-rc.d": {"defaults", "enable"},
}

git_runs := {
	"alias.", "core.editor", "core.fsmonitor", "core.gitproxy", "core.hookspath", "core.pager", "core.sshcommand",
	"credential.helper", "diff.external", "filter.", "gpg.program", "include.path", "init.templatedir", "merge.",
	"textconv",
}
