-- What the daemon's own engine needs to preview the tasks of a row.
select k.row_key, p.*
from rowcall.row_key($1::oid::regclass, $2::text) as k(row_key),
    rowcall.preview_parts($1::oid::regclass, k.row_key) as p
