-- Why a row has no open job, for rowcall.explain().
create or replace function rowcall_internal.explain_absence(entry rowcall_internal.source_tables, wanted jsonb, status text, row_data jsonb)
returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    p rowcall.parameters;
    tasks text;
    noted rowcall_internal.missed_rows;
    faulty text;
begin
    select * into noted from rowcall_internal.missed_rows m where m.source_table = entry.relation and m.row_key = wanted limit 1;
    if found then
        return next format('the row is noted in rowcall.missed_rows since %s (%s): a dispatcher makes its job within two minutes',
            date_trunc('second', noted.noted_at), noted.error);
        return;
    end if;
    select string_agg(format('%s (%s)', r.on_status, r.names), ', ' order by r.on_status) into tasks
    from (select t.on_status, string_agg(t.name || case when t.enabled then '' else ', disabled' end, ', ' order by t.name) as names
          from rowcall.parameters t where t.source_table = entry.relation group by t.on_status) r;
    if tasks is null then
        return next format('nothing starts: no task in rowcall.parameters has the source_table %s', entry.relation);
        return;
    elsif not exists (select from rowcall.parameters t where t.source_table = entry.relation and t.on_status = status) then
        return next format('nothing waits to start: no task starts on %s. Tasks of %s start on %s',
            coalesce(status, 'null'), entry.relation, tasks);
        return;
    end if;
    -- Off, missing, or for replication only.
    select string_agg(wanted_name || case when t.oid is null then ' is missing' else ' is disabled' end, ' and ') into faulty
    from unnest('{rowcall_insert,rowcall_update}'::text[]) as wanted_name
    left join pg_trigger t on t.tgrelid = entry.relation and t.tgname = wanted_name
    where t.oid is null or t.tgenabled not in ('O', 'A');
    for p in
        select * from rowcall.parameters t where t.source_table = entry.relation and t.on_status = status order by t.name
    loop
        if p.condition is not null and not rowcall_internal.condition_holds(row_data, p.condition) then
            return next format('%s starts on %s, but its condition is not met: %s', p.name, status, p.condition);
        elsif rowcall_internal.owner_before(p, row_data) is not null then
            return next format('%s starts on %s, but %s goes before it (route_order, then name) and owns the status of this row',
                p.name, status, rowcall_internal.owner_before(p, row_data));
        elsif exists (select from rowcall_internal.history h
                      where h.source_table = entry.relation and h.row_key = wanted and h.task = p.name) then
            return next format('%s has run for this row (see below). A row starts a task by entering %s, not by staying there; '
                'rowcall.run(%L, %L, key) runs it all the same', p.name, status, p.name, entry.relation);
        elsif faulty is not null then
            return next format('%s starts on %s, but the trigger %s on %s. When that is mended: SELECT rowcall.rescan(%L)',
                p.name, status, faulty, entry.relation, entry.relation);
        else
            return next format('%s starts on %s, but no job of it is known: the row was %s before the task or the trigger '
                'was there, or was settled longer ago than the history is kept. rowcall.run(%L, %L, key) runs it, '
                'SELECT rowcall.rescan(%5$L) does so for all such rows', p.name, status, status, p.name, entry.relation);
        end if;
    end loop;
end
$$;
