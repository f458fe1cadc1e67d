-- The migrations that were applied.
select version, name, to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') as applied
from rowcall_internal.migrations order by version
