-- The rows that claimed jobs stand for.
select row_key, status, row_data, error from rowcall.source_rows($1::oid::regclass, $2)
