-- After the key of a watched table has changed: gives its jobs, open attempts and missed rows the keys that their rows
-- have now. The rows are found by the columns of the old key; a renamed column is found by its place in the key. A job
-- whose row is not found keeps its key, and ends as OBSOLETE, as if the row were gone.
create or replace function rowcall_internal.change_row_keys(before rowcall_internal.source_tables, after rowcall_internal.source_tables) returns void
language plpgsql security definer
-- The zone as for the triggers: the text of a key must not depend on the caller's.
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
-- A task that holds its attempt may want its row next, whose table the caller may have locked.
set lock_timeout = '500ms'
as $$
declare
    -- The old key's columns by their names of today, as if they were the key.
    old_key rowcall_internal.source_tables := after;
    names text[] := before.key_columns;
    lost text[];
    gained text[];
    found text;
    job record;
    newer rowcall_internal.jobs;
begin
    lost := array(select k from unnest(before.key_columns) with ordinality u(k, n)
        where not exists (select from pg_attribute a where a.attrelid = after.relation and a.attname = k and not a.attisdropped)
        order by n);
    gained := array(select k from unnest(after.key_columns) with ordinality u(k, n) where k <> all (before.key_columns) order by n);
    if cardinality(lost) > cardinality(gained) then
        return;
    end if;
    for i in 1 .. cardinality(lost) loop
        names := array_replace(names, lost[i], gained[i]);
    end loop;
    old_key.key_columns := names;
    old_key.key_types := rowcall_internal.column_types(after.relation, names);
    if exists (select from unnest(old_key.key_types) t where rowcall_internal.key_type_allowed(t) is not true) then
        return;
    end if;
    -- By the text of the value, where the type is another that does not take every text, or the owner of the type may have
    -- made a cast to it, which would run with our rights.
    select string_agg(
        case when p.read_as = b.read_as and p.operand is null or p.key_type = any ('{text,varchar,bpchar}'::regtype[])
                or p.operand is not null and p.equals <> 'operator(pg_catalog.=)'
            then format('t.%I%s %s (w.row_key->>%L)::%s', p.key_column, '::' || p.operand, p.equals, b.key_column, p.read_as)
            else format('%s->>%L = w.row_key->>%L', rowcall_internal.key_sql(old_key, 't'), p.key_column, b.key_column) end, ' and ')
    into found
    from rowcall_internal.key_parts(old_key) p join rowcall_internal.key_parts(before) b using ("position");

    begin
        perform from rowcall_internal.jobs where source_table = after.relation order by id for update;
        perform from rowcall_internal.attempts where source_table = after.relation order by id for update;
    exception when lock_not_available or deadlock_detected then
        raise exception 'rowcall.watch: its key has changed, and other sessions hold jobs or attempts of %', after.relation
            using errcode = '55P03', hint = 'Try again when their transactions have ended.';
    end;
    execute format('update rowcall_internal.attempts w set row_key = %s from %s t where w.source_table = $1 and %s',
        rowcall_internal.key_sql(after, 't'), after.relation, found) using after.relation;
    execute format('update rowcall_internal.missed_rows w set row_key = %s from %s t where w.source_table = $1 and %s',
        rowcall_internal.key_sql(after, 't'), after.relation, found) using after.relation;
    for job in execute format(
        'select w.id, w.task, w.state, w.on_status, %1$s as new_key from rowcall_internal.jobs w join %2$s t on %3$s '
        -- The trigger may have made one meanwhile that has the new key, and the short one as before.
        'where w.source_table = $1 and (w.row_key <> %1$s or w.short_key <> rowcall.short_key(%1$s)) order by w.id for update of w',
        rowcall_internal.key_sql(after, 't'), after.relation, found) using after.relation
    loop
        -- The trigger may have made one with the new key already.
        if job.state = 'running' then
            delete from rowcall_internal.jobs j
            where j.source_table = after.relation and j.short_key = rowcall.short_key(job.new_key) and j.task = job.task and j.state <> 'running'
            returning * into newer;
            update rowcall_internal.jobs j
            set row_key = job.new_key, short_key = rowcall.short_key(job.new_key), run_again = j.run_again or newer.id is not null,
                on_status = coalesce(newer.on_status, j.on_status)
            where j.id = job.id;
        else
            update rowcall_internal.jobs j set run_again = true, on_status = job.on_status
            where j.source_table = after.relation and j.short_key = rowcall.short_key(job.new_key) and j.task = job.task
                and j.id <> job.id and j.state = 'running';
            delete from rowcall_internal.jobs j
            where j.id = job.id and exists (
                select from rowcall_internal.jobs s
                where s.source_table = after.relation and s.short_key = rowcall.short_key(job.new_key) and s.task = job.task
                    and s.id <> job.id);
            update rowcall_internal.jobs j set row_key = job.new_key, short_key = rowcall.short_key(job.new_key) where j.id = job.id;
        end if;
    end loop;
end
$$;
