-- The number of a job that a driver has sent as a string, as some send all values.
create or replace function rowcall_internal.job_number(job text) returns bigint
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return job::bigint;
exception when invalid_text_representation or numeric_value_out_of_range then
    raise exception 'a job is named by its number, and % is none', to_json(job)
        using errcode = '22023', hint = 'For many jobs, give the parameter its type: $1::bigint[].';
end
$$;
