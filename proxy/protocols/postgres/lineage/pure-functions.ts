/**
 * Which of the server's own functions are functions of their arguments and nothing else that could hold a
 * table's values. An immutable one is, by PostgreSQL's own contract. Of the others only those listed here are;
 * one that a later version adds is not, until someone has looked at it.
 *
 * Catalog metadata (names, definitions, privileges, sizes, counters) does not count as a table's values.
 */
import { type FunctionFact, isSystem } from './snapshot.ts';

const stable = `
  aclexplode age array_to_json array_to_string col_description concat concat_ws convert convert_from convert_to
  current_database current_schema current_schemas current_setting current_user date date_add date_part
  date_subtract date_trunc enum_first enum_last enum_range extract format format_type generate_series
  get_current_ts_config getdatabaseencoding getpgusername in_range inet_client_addr inet_client_port
  inet_server_addr inet_server_port json_agg json_agg_strict json_build_array json_build_object json_object_agg
  json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_populate_record
  json_populate_recordset json_to_record json_to_recordset json_to_tsvector jsonb_agg jsonb_agg_strict
  jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict
  jsonb_build_array jsonb_build_object jsonb_path_exists_tz jsonb_path_match_tz
  jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
  jsonb_populate_record_valid jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector
  length make_timestamptz money mxid_age now numeric obj_description oidvectortypes overlaps
  pg_available_extension_versions pg_available_extensions pg_backend_pid pg_basetype pg_char_to_encoding
  pg_client_encoding pg_collation_for pg_column_compression pg_column_is_updatable pg_column_size
  pg_conf_load_time pg_current_snapshot pg_current_xact_id pg_current_xact_id_if_assigned
  pg_describe_object pg_encoding_to_char pg_extension_update_paths pg_filenode_relation pg_get_acl
  pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr pg_get_function_arg_default
  pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody
  pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_object_address pg_get_partition_constraintdef
  pg_get_partkeydef pg_get_publication_tables pg_get_replica_identity_index pg_get_ruledef
  pg_get_serial_sequence pg_get_statisticsobjdef pg_get_statisticsobjdef_columns
  pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role
  pg_identify_object pg_identify_object_as_address pg_index_column_has_property pg_index_has_property
  pg_indexam_has_property pg_input_error_info pg_input_is_valid pg_is_other_temp_schema pg_mcv_list_items
  pg_my_temp_schema pg_options_to_table pg_postmaster_start_time pg_relation_filenode pg_relation_filepath
  pg_relation_is_publishable pg_relation_is_updatable pg_sequence_parameters pg_settings_get_flags
  pg_show_all_settings pg_tablespace_databases pg_tablespace_location pg_timezone_abbrevs
  pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone pg_timezone_names pg_trigger_depth pg_typeof
  phraseto_tsquery plainto_tsquery quote_literal quote_nullable regclass row_security_active row_to_json
  session_user shobj_description statement_timestamp system_user text time timestamp timestamptz timetz timezone
  to_char to_date to_json to_jsonb to_number to_regclass to_regcollation to_regnamespace to_regoper
  to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_regtypemod to_timestamp to_tsquery
  to_tsvector transaction_timestamp ts_debug ts_headline ts_parse ts_token_type txid_current
  txid_current_if_assigned txid_current_snapshot version websearch_to_tsquery xml xml_is_well_formed
  pg_stat_get_snapshot_timestamp anytextcat textanycat interval_pl_timestamptz timestamptz_pl_interval
  timestamptz_mi_interval ts_match_tq ts_match_tt
`;

const volatile = `
  array_sample array_shuffle clock_timestamp gen_random_uuid random random_normal timeofday uuidv4 uuidv7
  pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size
  pg_is_in_recovery pg_partition_ancestors pg_partition_tree pg_collation_actual_version
  pg_database_collation_actual_version pg_blocking_pids pg_get_wal_replay_pause_state pg_jit_available
`;

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter((word) => word !== ''));
const stableNames = words(stable);
const volatileNames = words(volatile);

/** Families of functions that say something about objects, not about what is in them. */
const families =
  /^(has_\w+_privilege|pg_\w+_is_visible|date_\w+_timestamp(tz)?|timestamp(tz)?_\w+_(date|timestamp(tz)?))$/;
/** Text and binary forms of types. */
const forms = /(_|^[a-z0-9]+)(in|out|send|recv)$/;

/** True when a function that came with the server is influenced by its arguments alone. */
export function isPure(fact: FunctionFact): boolean {
  if (!isSystem(fact.schema) || fact.kind === 'procedure') return false;
  if (fact.volatility === 'immutable' || fact.schema === 'information_schema') return true;
  if (fact.volatility === 'volatile') return volatileNames.has(fact.name);
  return stableNames.has(fact.name) || families.test(fact.name) || forms.test(fact.name);
}
