# METADATA
# title: No new links
# description: |
#   Whatever is written to a link is written where the link leads, and a relative one leads elsewhere once it is moved:
#   rules on paths hold only as long as agents make no links. Those that are there were made by whoever looks after the
#   machine, and lead out of what agents may write only if they put them there.
package sallyport.policies.links

import data.sallyport.lib.ssh

# METADATA
# title: Refused
deny contains {"code": "rsync_links", "message": message} if {
	ssh.transfer.protocol == "rsync"
	ssh.transfer.direction == "upload"
	some command in ssh.commands
	some word in command.argv
	ssh.rsync_letter(word, "l")
	message := "A symbolic link that is uploaded may lead anywhere once it is moved. Add --no-links to rsync's options."
}

deny contains {"code": "copied_links", "message": message} if {
	some command in ssh.commands
	command.name == "cp"
	copies_links(command)
	message := "What is written to a copied link is written where it leads. Add -L to -r, and leave out what makes links."
}

deny contains {"code": "link_refused", "message": message} if {
	some command in ssh.commands
	command.name in {"link", "ln"}
	message := "A link may lead anywhere once it is moved. Copy the file instead."
}

deny contains {"code": "link_refused", "message": message} if {
	ssh.sftp.operation in {"link", "symlink"}
	message := "A link may lead anywhere once it is moved. Copy the file instead."
}

# `-a`, `-d`, `-P`, `-s`, `-l` and their long names; a tree, unless what its links lead to is copied.
copies_links(command) if {
	some word in command.argv
	some letter in ["a", "d", "P", "s", "l"]
	ssh.option_letter(word, letter)
}

copies_links(command) if {
	some word in command.argv
	some beginning in ["--a", "--l", "--no-d", "--pr", "--s"]
	startswith(word, beginning)
}

copies_links(command) if {
	copies_trees(command)
	not follows_links(command)
}

copies_trees(command) if {
	some word in command.argv
	some letter in ["r", "R"]
	ssh.option_letter(word, letter)
}

copies_trees(command) if {
	some word in command.argv
	startswith(word, "--r")
}

follows_links(command) if {
	some word in command.argv
	ssh.option_letter(word, "L")
}

follows_links(command) if "--dereference" in command.argv
