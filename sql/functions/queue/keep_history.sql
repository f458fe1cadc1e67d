-- Makes the partitions of the history for today and the coming days, drops those older than "keep", and deletes
-- attempts of that age, 10,000 at a time. If another session holds a lock that it needs, it leaves the rest for the
-- next time.
create or replace function rowcall_internal.keep_history(keep interval, days_ahead int default 3) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
-- A long reader of the history (a dump, a report) must not make all settling wait behind us: the next round will do.
set lock_timeout = '200ms'
as $$
declare
    day date;
    old regclass;
begin
    -- One dispatcher at a time; the others have nothing to add.
    begin
        lock table rowcall_internal.history_lock in exclusive mode nowait;
    exception when lock_not_available then
        return;
    end;
    for day in select generate_series(current_date, current_date + days_ahead, interval '1 day')::date loop
        if to_regclass(format('rowcall_internal.history_%s', to_char(day, 'YYYYMMDD'))) is null
           and not exists (select from rowcall_internal.history_default where settled_at >= day and settled_at < day + 1) then
            execute format('create table rowcall_internal.history_%s partition of rowcall_internal.history for values from (%L) to (%L)',
                to_char(day, 'YYYYMMDD'), day::timestamptz, (day + 1)::timestamptz);
        end if;
    end loop;
    for old in
        select inhrelid::regclass from pg_inherits join pg_class c on c.oid = inhrelid
        where inhparent = 'rowcall_internal.history'::regclass and c.relname ~ '^history_\d{8}$'
          and to_date(substr(c.relname, 9), 'YYYYMMDD') + 1 < (now() - keep)::date
    loop
        execute format('drop table %s', old);
    end loop;
    delete from rowcall_internal.history_default where settled_at < now() - keep;
    delete from rowcall_internal.attempts a
    where a.id in (select id from rowcall_internal.attempts where ended_at < now() - keep order by ended_at limit 10000)
      and not exists (select from rowcall_internal.jobs j where j.id = a.job_id);
exception when lock_not_available then
    return;
end
$$;
