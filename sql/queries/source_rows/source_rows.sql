-- The rows of claimed jobs, each as a string of JSON, so that no reader of JSON changes a number.
select row_key, status, row_data, version, error from rowcall_internal.source_rows($1::oid::regclass, $2)
