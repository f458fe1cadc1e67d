-- A string that changes with every edit of parameters and runner_defaults, and with every migration: what was read under it need
-- not be read again.
create or replace function rowcall_internal.parameters_stamp() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return md5(concat(
        (select string_agg(xmin::text, ',' order by name) from rowcall.parameters), ';',
        (select string_agg(xmin::text, ',' order by runner) from rowcall.runner_defaults), ';',
        (select concat(max(version), ' ', max(oldest_daemon)) from rowcall_internal.migrations)));
end
$$;
