-- Tells a person what goes on with a row: its status, its open jobs and what each waits for, then its last ten settled
-- jobs, newest first. If there is no open job, it says why. It works for rows that are gone, too.
create or replace function rowcall.explain(source regclass, key text) returns setof text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    shown constant int := 10;
    entry rowcall_internal.source_tables;
    wanted jsonb;
    name text;
    found_row record;
    there boolean;
    job rowcall_internal.jobs;
    settled record;
    queued boolean := false;
begin
    select * into entry from rowcall_internal.source_tables where relation = source;
    if not found then
        return next format('%s is not watched by Rowcall, so nothing starts. SELECT rowcall.watch(%L%s) makes it a source table',
            source, source, case when not exists (
                select from pg_attribute where attrelid = source and attname = 'status' and not attisdropped)
                then ', ''status_column''' else '' end);
        return;
    end if;
    begin
        wanted := rowcall.row_key(source, key);
    exception when sqlstate 'RC011' then
        return next sqlerrm;
        return;
    end;
    name := format('%s %s', source, case when cardinality(entry.key_columns) = 1
        then wanted ->> entry.key_columns[1] else wanted::text end);
    select * into found_row from rowcall_internal.source_rows(source, array[wanted]);
    there := found;
    if not there then
        return next format('%s: there is no such row now', name);
    elsif found_row.error is not null then
        return next format('%s: the table cannot be read: %s', name, found_row.error);
    else
        return next format('%s: %s is %s', name, entry.status_column, coalesce(found_row.status, 'null'));
    end if;

    for job in
        select * from rowcall_internal.jobs j where j.source_table = source and j.short_key = rowcall.short_key(wanted) order by j.id
    loop
        queued := true;
        return query select * from rowcall_internal.explain_job(job);
        return query select * from rowcall_internal.explain_attempts(job.id);
        -- No job is made for those that came after the owner.
        return query
        select format('%s starts on %s, too, but %s goes before it (route_order, then name) and owns the status of this row',
            p.name, p.on_status, job.task)
        from rowcall.parameters p
        where p.source_table = source and p.on_status = job.on_status and there
          and rowcall_internal.owner_before(p, found_row.row_data::jsonb) = job.task
        order by p.route_order, p.name;
    end loop;
    if there and not queued and found_row.error is null then
        return query select * from rowcall_internal.explain_absence(entry, wanted, found_row.status, found_row.row_data::jsonb);
    end if;

    for settled in
        select h.*, row_number() over newest as place, count(*) over () as all_of_them
        from rowcall_internal.history h where h.source_table = source and h.row_key = wanted
        window newest as (order by h.settled_at desc, h.job_id desc)
        order by place limit shown + 1
    loop
        if settled.place > shown then
            return next format('and %s older jobs: SELECT * FROM rowcall.history WHERE source_table = %L::regclass AND row_key = %L',
                settled.all_of_them - shown, source, wanted);
        else
            return next format('%s, job %s: %s at %s after %s attempt%s', settled.task, settled.job_id, settled.outcome,
                    date_trunc('second', settled.settled_at), settled.attempt_count, case settled.attempt_count when 1 then '' else 's' end)
                || coalesce(', by ' || settled.cancelled_by, '')
                || coalesce(': ' || settled.message, '');
            if settled.write_back is not null then
                return next format('    the row was not written: %s', case settled.write_back
                    when 'moved' then 'it had another status by then' when 'deleted' then 'it was gone'
                    else settled.write_back end);
            end if;
            return query select * from rowcall_internal.explain_attempts(settled.job_id);
        end if;
    end loop;
    if not there and not queued and not exists (
        select from rowcall_internal.history h where h.source_table = source and h.row_key = wanted)
    then
        return next 'no job is known for this key';
    end if;
end
$$;

-- The same for a key of any type.
create or replace function rowcall.explain(source regclass, key anyelement) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select * from rowcall.explain(source, rowcall.key_text(key))
$$;
