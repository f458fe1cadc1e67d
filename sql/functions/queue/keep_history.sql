-- Makes the partitions of the history and of the ended attempts for today and the coming days, and drops those older than "keep".
-- If another session holds a lock that it needs, it leaves all of it for the next time.
create or replace function rowcall_internal.keep_history(keep interval, days_ahead int default 3) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
-- A long reader of the history (a dump, a report) must not make all settling wait behind us: the next round will do.
set lock_timeout = '200ms'
as $$
declare
    kept record;
    day date;
    is_wanted boolean;
    old regclass;
begin
    -- One dispatcher at a time; the others have nothing to add.
    begin
        lock table rowcall_internal.history_lock in exclusive mode nowait;
    exception when lock_not_available then
        return;
    end;
    for kept in select * from (values ('ended_attempts', 'ended_at'), ('history', 'settled_at')) k("table", "time") loop
        for day in select generate_series(current_date, current_date + days_ahead, interval '1 day')::date loop
            if to_regclass(format('rowcall_internal.%s_%s', kept.table, to_char(day, 'YYYYMMDD'))) is null then
                execute format('select not exists (select from rowcall_internal.%1$s_default where %2$s >= $1 and %2$s < $1 + 1)',
                    kept.table, kept.time) into is_wanted using day;
                if is_wanted then
                    execute format('create table rowcall_internal.%1$s_%2$s partition of rowcall_internal.%1$s for values from (%3$L) to (%4$L)',
                        kept.table, to_char(day, 'YYYYMMDD'), day::timestamptz, (day + 1)::timestamptz);
                end if;
            end if;
        end loop;
        for old in
            select inhrelid::regclass from pg_inherits join pg_class c on c.oid = inhrelid
            where inhparent = format('rowcall_internal.%s', kept.table)::regclass and c.relname ~ format('^%s_\d{8}$', kept.table)
              and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 < (now() - keep)::date
        loop
            execute format('drop table %s', old);
        end loop;
        execute format('delete from rowcall_internal.%s_default where %s < now() - $1', kept.table, kept.time) using keep;
    end loop;
exception when lock_not_available then
    return;
end
$$;
