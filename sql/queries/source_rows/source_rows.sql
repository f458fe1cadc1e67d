-- The rows that claimed jobs stand for, each as text: nothing in it is to be read as another number than it is.
select row_key, status, row_data::text as row_data, error from rowcall_internal.source_rows($1::oid::regclass, $2)
