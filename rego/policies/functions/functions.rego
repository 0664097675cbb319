# METADATA
# title: Functions by allow-list
# description: |
#   Functions of pg_catalog and information_schema that PostgreSQL declares immutable or stable are allowed, but for
#   those that read files, run SQL given as text or show other sessions; of the volatile ones only a few. Functions
#   of users are allowed when data.config.sql.functions names them.
package sallyport.policies.functions

import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {"code": "function_refused", "message": message} if {
	some called in sql.functions
	not allowed(called)
	message := concat("", [
		"Agents may not call ",
		called.schema,
		".",
		called.name,
		"(). Ask for it to be added to sql.functions if it is harmless.",
	])
}

deny contains {
	"code": "server_side_copy",
	"message": "COPY from or to a file or program of the server is not available. Use STDIN or STDOUT.",
} if {
	some statement in sql.statements
	some object_name in statement.objects
	some prefix in ["server_file:", "server_program:"]
	startswith(object_name, prefix)
}

allowed(called) if {
	called.schema in sql.system_schemas
	called.volatility in {"immutable", "stable"}
	not called.name in harmful
	not reads_query(called.name)
}

allowed(called) if {
	called.schema == "pg_catalog"
	called.name in harmless
}

allowed(called) if concat(".", [called.schema, called.name]) in data.config.sql.functions

# Volatile, and yet they change nothing and show nothing of others. set_config is SET in the shape of a function: the
# classifier does not account for one without a constant name or one that changes what SQL means, and the settings it
# reports are judged by the policy `settings`.
harmless := {
	"clock_timestamp", "gen_random_uuid", "pg_collation_actual_version", "pg_column_size",
	"pg_database_collation_actual_version", "pg_database_size", "pg_get_sequence_data", "pg_indexes_size",
	"pg_is_in_recovery", "pg_jit_available", "pg_partition_ancestors", "pg_partition_tree", "pg_relation_size", "pg_sequence_last_value", "pg_size_bytes",
	"pg_table_size", "pg_tablespace_size", "pg_total_relation_size", "random", "random_normal", "set_config",
	"timeofday", "uuidv4", "uuidv7",
}

# Declared stable or immutable, and yet they show what others do or what columns contain.
harmful := {
	"binary_upgrade_logical_slot_has_caught_up", "cursor_to_xml", "cursor_to_xmlschema", "lo_get", "pg_config",
	"pg_current_logfile", "pg_export_snapshot", "pg_file_settings", "pg_get_backend_memory_contexts",
	"pg_hba_file_rules", "pg_ident_file_mappings", "pg_mcv_list_items", "pg_notify", "pg_read_binary_file",
	"pg_read_file", "pg_read_file_old", "pg_show_all_file_settings", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
	"pg_stat_file", "pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_stat_get_backend_client_addr",
	"pg_stat_get_progress_info", "pg_stat_get_wal_receiver", "pg_stat_get_wal_senders", "pg_terminate_backend",
	"ts_stat",
}

# Families: files and directories, large objects, other servers, and SQL or tables as text.
reads_query(name) if {
	some prefix in {
		"dblink", "database_to_xml", "lo_", "loread", "lowrite", "pg_ls_", "pg_logical_", "pg_read_",
		"pg_replication_", "query_to_xml", "schema_to_xml", "table_to_xml",
	}
	startswith(name, prefix)
}
