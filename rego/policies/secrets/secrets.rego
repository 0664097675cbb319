# METADATA
# title: Secrets are out of reach
# description: |
#   Relations and columns labelled `secret`, and what PostgreSQL itself keeps that shows values, credentials or other
#   sessions, are refused outright: a mask would still say that they are there, and how many. Only the options of foreign
#   servers come as NULL instead, because pg_dump reads and sorts them in every database, whether there are any or not.
#   They can still be tested for a value; PostgreSQL shows them to every role, and keeps passwords in user mappings.
package sallyport.policies.secrets

import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {"code": "secret_relation", "message": message} if {
	some relation in sql.relations
	"secret" in relation.labels
	message := concat("", [sql.qualified(relation), " holds secrets. No agent may use it."])
}

deny contains {"code": "secret_column", "message": message} if {
	some relation in sql.relations
	some column in relation.columns
	"secret" in column.labels
	message := concat("", [sql.qualified(relation), ".", column.name, " is a secret. Leave it out."])
}

deny contains {"code": "system_relation", "message": message} if {
	some relation in sql.relations
	revealing(relation)
	message := concat("", [sql.qualified(relation), " shows values, credentials or other sessions."])
}

revealing(relation) if {
	relation.schema == "pg_catalog"
	relation.name in always
}

# Of an extension, which can be installed in any schema.
revealing(relation) if startswith(relation.name, "pg_stat_statements")

# Tables that views show the harmless part of.
revealing(relation) if {
	relation.schema == "pg_catalog"
	relation.name in (object.keys(columns) | object.keys(hidden))
	not relation.whole_row == false
	not is_via(relation)
}

revealing(relation) if {
	some column in options(relation)
	some use in column.uses
	not use in {"output", "derived", "equality", "predicate", "order", "group", "join"}
}

revealing(relation) if {
	relation.schema == "pg_catalog"
	some column in relation.columns
	column.name in columns[relation.name]
}

is_via(relation) if relation.via != ""

columns := {
	"pg_authid": {"rolpassword"},
	"pg_subscription": {"subconninfo"},
}

hidden := {
	"pg_foreign_server": {"srvoptions"},
	"pg_foreign_data_wrapper": {"fdwoptions"},
}

options(relation) := {column |
	relation.schema == "pg_catalog"
	some column in relation.columns
	column.name in hidden[relation.name]
}

# METADATA
# title: Hidden
masks.columns[sql.qualified(relation)][column.name] := {"null": {}} if {
	some relation in sql.relations
	some column in options(relation)
}

always := {
	"pg_aios", "pg_backend_memory_contexts", "pg_config", "pg_file_settings", "pg_hba_file_rules",
	"pg_ident_file_mappings", "pg_largeobject", "pg_shadow", "pg_shmem_allocations", "pg_stat_activity",
	"pg_stat_gssapi", "pg_stat_progress_copy", "pg_stat_replication", "pg_stat_ssl", "pg_stat_subscription", "pg_stat_wal_receiver", "pg_statistic",
	"pg_statistic_ext_data", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_user_mapping",
	"pg_user_mappings",
}
