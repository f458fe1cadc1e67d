-- A result column with the end of an observer in it, under results.<task>: its result, or its message and outcome. A
-- success without a result removes the message and outcome of an earlier failure.
create or replace function rowcall_internal.merge_results(was jsonb, task text, ended jsonb) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    base constant jsonb := coalesce(nullif(was, 'null'), '{}');
    results constant jsonb := coalesce(nullif(base -> 'results', 'null'), '{}');
begin
    if jsonb_typeof(base) <> 'object' or jsonb_typeof(results) <> 'object' then
        raise exception 'the result column holds % where an object is needed, for results.%',
            case when jsonb_typeof(base) <> 'object' then 'the ' || jsonb_typeof(base)
                else 'a ' || jsonb_typeof(results) || ' as "results"' end, task;
    elsif ended ? 'result' then
        return base || jsonb_build_object('results', results || jsonb_build_object(task, ended -> 'result'));
    elsif ended ? 'outcome' then
        return base || jsonb_build_object('results', results || jsonb_build_object(task, ended));
    elsif results -> task ->> 'outcome' in (select o.outcome from rowcall_internal.outcomes() o where o.is_failure) then
        return base || jsonb_build_object('results', results - task);
    end if;
    return base;
end
$$;
