# METADATA
# title: Settings by allow-list
# description: |
#   What an agent may SET or RESET: how values are written, how long things may take, how it is called. Never what
#   changes how SQL is read or whose rights it runs with. data.config.sql.settings adds to the list.
package sallyport.policies.settings

import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {"code": "setting_refused", "message": message} if {
	some setting in sql.settings
	not allowed(setting)
	message := concat("", ["Agents may not change the setting ", setting.name, " to that."])
}

# SET without a setting that the classifier found: nothing is known about it.
deny contains {"code": "setting_unknown", "message": "Set one setting at a time, to a constant."} if {
	some statement in sql.statements
	"set" in statement.effects
	not statement.settings[0]
	not statement.verb in without_setting
}

# DISCARD goes back to what the session began with; SET CONSTRAINTS is about the transaction.
without_setting := {"discard_all", "discard_plans", "discard_sequences", "discard_temp", "set_constraints"}

allowed(setting) if lower(setting.name) in free

allowed(setting) if {
	name := lower(setting.name)
	name in data.config.sql.settings
	not name in guarded
}

# Back to what the gateway opened the session with.
allowed(setting) if {
	lower(setting.name) in {"all", "search_path", "client_encoding", "standard_conforming_strings", "row_security"}
	not is_string(setting.value)
}

allowed(setting) if {
	lower(setting.name) == "client_encoding"
	lower(setting.value) in {"utf8", "utf-8", "unicode"}
}

allowed(setting) if {
	lower(setting.name) == "standard_conforming_strings"
	lower(setting.value) in {"on", "true", "yes", "1"}
}

# `off` makes a query fail instead of leaving rows out; it grants nothing.
allowed(setting) if {
	lower(setting.name) == "row_security"
	lower(setting.value) in {"on", "off", "true", "false", "1", "0"}
}

# To what it is, as many drivers do, or to nothing, as pg_dump does: the classifier knows the path it reads names by.
allowed(setting) if {
	lower(setting.name) == "search_path"
	unsure := input.action.properties.incomplete
	not "setting_changes_meaning" in unsure
}

free := {
	"application_name", "bytea_output", "client_min_messages", "datestyle", "default_transaction_deferrable",
	"default_transaction_isolation", "default_transaction_read_only", "extra_float_digits",
	"idle_in_transaction_session_timeout", "idle_session_timeout", "intervalstyle", "jit", "lock_timeout",
	"quote_all_identifiers", "restrict_nonsystem_relation_kind", "statement_timeout", "synchronize_seqscans", "time zone", "timezone",
	"transaction_deferrable", "transaction_isolation", "transaction_read_only", "transaction_timeout",
}

# Not even data.config can free these: the gateway's own reading of SQL depends on them.
guarded := {
	"backslash_quote", "client_encoding", "escape_string_warning", "role", "search_path",
	"session_authorization", "session_preload_libraries", "standard_conforming_strings", "local_preload_libraries",
}
