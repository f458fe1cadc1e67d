-- Of these jobs of owners, those whose row another owner has (has_row.sql), or whose row another session holds: that may be
-- a claim which is about to start another owner's job. If a row has further jobs and is free, it is held until the
-- caller's transaction ends.
create or replace function rowcall_internal.jobs_without_row(jobs bigint[]) returns setof bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mine rowcall_internal.jobs;
    taken boolean;
begin
    for mine in
        select j.* from rowcall_internal.jobs j
        where j.id = any (jobs)
          -- With a limit it is one look at an index for each job, also by a plan that was made while there were no others.
          and (select true from rowcall_internal.jobs o
               where o.source_table = j.source_table and o.short_key = j.short_key and o.id <> j.id limit 1)
        order by j.source_table, j.short_key
    loop
        begin
            -- Looked at only now: a claim that had the row until a moment ago may have started its job.
            taken := not rowcall_internal.hold_row_now(mine.source_table, mine.row_key) or exists (
                select from rowcall_internal.jobs o
                where o.source_table = mine.source_table and o.short_key = mine.short_key and o.id <> mine.id
                  and rowcall_internal.has_row(o));
        exception when others then
            -- What a policy of the table says of one row is not the others'.
            taken := true;
        end;
        if taken then
            return next mine.id;
        end if;
    end loop;
end
$$;
