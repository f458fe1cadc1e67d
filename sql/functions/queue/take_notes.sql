-- What the trigger would have done for rows that it could only note: jobs learn that a user has moved their row on, and the rows
-- get the jobs that they ask for now.
create or replace function rowcall_internal.take_notes(source regclass, notes rowcall_internal.missed_rows[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Rows before jobs, as their writers lock them.
    perform from rowcall_internal.wanted_rows(source, array(select distinct row_key from unnest(notes)), null);
    update rowcall_internal.jobs j
    set moved_to = n.moved_to, moved_at = n.noted_at, moved_by = n.moved_by,
        run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
    from (
        select distinct on (row_key) * from unnest(notes) where moved_to is not null order by row_key, id desc) n
    -- A job that was made later is of a later wish. An attempt that has marked the row later found it as that user left it.
    where j.source_table = source and j.short_key = rowcall.short_key(n.row_key) and j.created_at < n.noted_at
      and not exists (
          select from (
              select job_id, created_at, terms_id from rowcall_internal.attempts
              union all select job_id, created_at, terms_id from rowcall_internal.ended_attempts) a
          join rowcall_internal.terms t on t.id = a.terms_id
          where a.job_id = j.id and a.created_at > n.noted_at
          and t.terms->'write_back'->'expected' <> '[]' and not t.terms->'write_back'->'expected' ? j.on_status);
    perform rowcall.rescan(source, array(select distinct row_key from unnest(notes)));
end
$$;
