-- Checks a target and settings by themselves, as an edit of rowcall.parameters does, without writing a row: the first
-- problem with each, or null. "rowcall import" calls it before it prints its plan.
create or replace function rowcall.settings_problems(runner text, target text, settings jsonb,
    out target_problem text, out settings_problem text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select rowcall_internal.target_error(runner, target), s.error
    from (select) one left join lateral (select e.error from rowcall_internal.settings_error(runner, settings) e) s on true
$$;
