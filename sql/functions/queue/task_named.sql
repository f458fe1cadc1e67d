-- The row of rowcall.parameters with this name; or an error that suggests the name that was probably meant.
create or replace function rowcall_internal.task_named(name text) returns rowcall.parameters
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found_task rowcall.parameters;
    names text[];
begin
    select * into found_task from rowcall.parameters p where p.name = task_named.name;
    if not found then
        names := array(select p.name from rowcall.parameters p order by p.name);
        raise exception 'no task is named %', coalesce(name, 'null')
            using errcode = 'RC012', hint = coalesce(
                'Did you mean ' || coalesce(rowcall_internal.similar_word(name, names), (select n from unnest(names) n where lower(n) = lower(name))) || '?',
                case when names = '{}' then 'rowcall.parameters is empty.'
                    else format('There are: %s.', array_to_string(names[1:30], ', ')
                        || case when cardinality(names) > 30 then ', …' else '' end) end);
    end if;
    return found_task;
end
$$;
