-- Restores a task, also a deleted one, as it was after this version. Columns that did not exist then get their
-- defaults. The name runner_defaults.ecs restores the defaults of ecs. Returns the number of the new version.
create or replace function rowcall.restore_parameters(name text, version int) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    past rowcall_internal.parameters_history;
    kept text;
    others text;
    present regclass;
    new_version int;
begin
    select * into past from rowcall_internal.parameters_history h
    where h.name = restore_parameters.name and h.version = restore_parameters.version
    order by h.changed_at desc limit 1;
    if not found then
        if not exists (select from rowcall_internal.parameters_history h where h.name = restore_parameters.name) then
            raise exception 'no task was ever named %', name
                using errcode = 'RC012', hint = coalesce('Did you mean ' || rowcall_internal.similar_word(name,
                    array(select distinct h.name from rowcall_internal.parameters_history h)) || '?',
                    'SELECT DISTINCT name FROM rowcall.parameters_history lists all names.');
        end if;
        raise exception '% has no version %', name, version
            using errcode = 'RC012', hint = format('There are: %s.', (
                select string_agg(format('%s (%s%s by %s)', h.version, date_trunc('second', h.changed_at),
                    case when h.new is null then ', deleted' else '' end, h.changed_by), ', ' order by h.version desc)
                from (select * from rowcall_internal.parameters_history h where h.name = restore_parameters.name
                      order by h.version desc limit 10) h));
    elsif past.new is null then
        raise exception 'version % of % is its deletion', version, name
            using errcode = 'RC012', hint = format('The version before it: SELECT rowcall.restore_parameters(%L, %s);',
                name, (select max(h.version) from rowcall_internal.parameters_history h
                       where h.name = restore_parameters.name and h.version < restore_parameters.version and h.new is not null));
    end if;

    if starts_with(name, 'runner_defaults.') then
        insert into rowcall.runner_defaults as d select * from jsonb_populate_record(null::rowcall.runner_defaults, past.new)
        on conflict (runner) do update set settings = excluded.settings;
        return (select max(h.version) from rowcall_internal.parameters_history h where h.name = restore_parameters.name);
    end if;

    -- The history has the table by the name of that time.
    if to_regclass(past.new->>'source_table') is null then
        select p.source_table into present from rowcall.parameters p where p.name = restore_parameters.name;
        if present is null or not exists (select from pg_class where oid = present) then
            raise exception 'version % of % is for the table %, which is not there now', version, name, past.new->>'source_table'
                using errcode = 'RC012',
                      hint = format('If the table was renamed: SELECT new FROM rowcall.parameters_history WHERE name = %L AND version = %s; '
                          'and insert that row with the new name of the table.', name, version);
        end if;
        raise notice 'the table % of version % is not there now: % stays with %', past.new->>'source_table', version, name, present;
        past.new := past.new || jsonb_build_object('source_table', present::text);
    end if;

    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) filter (where past.new ? a.attname),
        string_agg(quote_ident(a.attname) || ' = default', ', ' order by a.attnum) filter (where not past.new ? a.attname)
    into kept, others
    from pg_attribute a
    where a.attrelid = 'rowcall.parameters'::regclass and a.attnum > 0 and not a.attisdropped
      and a.attname not in ('version', 'updated_at');
    execute format('update rowcall.parameters p set (%1$s) = (select %1$s from jsonb_populate_record(null::rowcall.parameters, $1))%2$s '
        'where p.name = $2 returning p.version', kept, coalesce(', ' || others, ''))
    into new_version using past.new, name;
    if new_version is null then
        execute format('insert into rowcall.parameters (%1$s) select %1$s from jsonb_populate_record(null::rowcall.parameters, $1) '
            'returning version', kept)
        into new_version using past.new;
    end if;
    return new_version;
end
$$;
