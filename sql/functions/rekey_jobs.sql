-- Gives jobs and open attempts of a table whose primary key has changed the keys that their rows have now. The rows are
-- found by the columns of the old key, renamed ones by their place in it; what is not found keeps its key, and its job
-- ends as obsolete, as if its row were gone.
create or replace function rowcall.rekey_jobs(before rowcall.source_tables, after rowcall.source_tables) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- As for the triggers: the text of a key must not depend on the caller's settings.
set timezone = 'UTC' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set datestyle = 'ISO, YMD'
as $$
declare
    -- Today's names of the old key's columns.
    names text[] := before.key_columns;
    lost text[];
    gained text[];
    found text;
    job record;
    sibling rowcall.jobs;
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
    -- Where the type is another, by the text of the value.
    select string_agg(
        case when p.equals is not null and b.type = p.key_type
            then format('t.%1$I%2$s %3$s (w.row_key->>%4$L)::%5$s%2$s', u.name, '::' || p.operand, p.equals, b.name, p.plain)
            when b.type = format_type(a.atttypid, a.atttypmod) and a.atttypid < 16384
            then format('t.%I = (w.row_key->>%L)::%s', u.name, b.name, b.type)
            else format('t.%I::text = w.row_key->>%L', u.name, b.name) end, ' and ')
    into found
    from unnest(names) with ordinality u(name, n)
    join unnest(before.key_columns, before.key_types) with ordinality b(name, type, n) using (n)
    join pg_attribute a on a.attrelid = after.relation and a.attname = u.name and not a.attisdropped
    left join rowcall.key_parts(after) p on p.key_column = u.name;

    execute format('update rowcall.attempts w set row_key = %s from %s t where w.source_table = $1 and w.ended is null and %s',
        rowcall.key_sql(after, 't'), after.relation, found) using after.relation;
    execute format('update rowcall.missed_rows w set row_key = %s from %s t where w.source_table = $1 and %s',
        rowcall.key_sql(after, 't'), after.relation, found) using after.relation;
    for job in execute format(
        'select w.id, w.task, w.state, %1$s as new_key from rowcall.jobs w join %2$s t on %3$s '
        'where w.source_table = $1 and w.row_key <> %1$s order by w.id for update of w',
        rowcall.key_sql(after, 't'), after.relation, found) using after.relation
    loop
        -- The trigger may have made one with the new key already.
        if job.state = 'running' then
            delete from rowcall.jobs j
            where j.source_table = after.relation and j.row_key = job.new_key and j.task = job.task and j.state <> 'running'
            returning * into sibling;
            update rowcall.jobs j
            set row_key = job.new_key, again = j.again or sibling.id is not null,
                on_status = coalesce(sibling.on_status, j.on_status)
            where j.id = job.id;
        else
            delete from rowcall.jobs j
            where j.id = job.id and exists (
                select from rowcall.jobs s
                where s.source_table = after.relation and s.row_key = job.new_key and s.task = job.task);
            update rowcall.jobs j set row_key = job.new_key where j.id = job.id;
        end if;
    end loop;
end
$$;
