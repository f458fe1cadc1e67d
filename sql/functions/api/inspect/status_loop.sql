-- The shortest loop of statuses that a task is part of, or null: REGISTERED -(load succeeds)-> DONE -(check fails)->
-- REGISTERED. Each round makes new jobs with new attempts, so a loop never ends by itself, whether it goes through
-- success or failure. Tasks that are disabled, or that have a condition (which may end the loop), are not counted as
-- part of one.
create or replace function rowcall.status_loop(name text) returns text
language plpgsql stable
-- For plans that hash the edges once: merging would sort them, and compiling would take longer than all else.
set search_path = pg_catalog, pg_temp set enable_mergejoin = off set jit = off
as $$
declare
    table_of regclass;
    start text;
    -- The way back, found in steps from the task's own status: each status with the one before it and the task between.
    reached text[];
    steps jsonb := '{}';
    layer text[];
    edge record;
    status text;
    way text;
begin
    select p.source_table, p.on_status into table_of, start from rowcall.parameters p
    where p.name = status_loop.name and p.enabled and p.condition is null;
    -- Most tasks are in none, which this finds without drawing the way. A status is followed once, so it ends.
    if not exists (
        with recursive edges as (
            select p.name, p.on_status as came_from, e.leads_to
            from rowcall.parameters p
            cross join lateral (values (p.status_succeeded), (p.status_failed), (p.status_runner_failed),
                (case p.status_running_by when 'rowcall' then p.status_running end)) e(leads_to)
            where p.source_table = table_of and p.enabled and p.condition is null and e.leads_to is not null
        ), ways(leads_to) as (
            select e.leads_to from edges e where e.name = status_loop.name
            union
            select e.leads_to from ways w join edges e on e.came_from = w.leads_to
        )
        select from ways where leads_to = start)
    then
        return null;
    end if;
    reached := '{}';
    layer := array[start];
    while steps -> start is null loop
        for edge in
            select distinct on (e.leads_to) p.name, p.on_status, e.leads_to, e.how
            from rowcall.parameters p
            cross join lateral (values ('succeeds', p.status_succeeded), ('fails', p.status_failed), ('fails', p.status_runner_failed),
                ('starts', case p.status_running_by when 'rowcall' then p.status_running end)) e(how, leads_to)
            where p.source_table = table_of and p.enabled and p.condition is null and p.on_status = any (layer)
              and e.leads_to is not null
              -- The first step is the task's own; another on the same status has a loop of its own.
              and (p.on_status <> start or p.name = status_loop.name)
              and not e.leads_to = any (reached)
            order by e.leads_to, e.how desc, p.name
        loop
            steps := steps || jsonb_build_object(edge.leads_to,
                jsonb_build_object('from', edge.on_status, 'by', format('-(%s %s)->', edge.name, edge.how)));
        end loop;
        layer := array(select k from jsonb_object_keys(steps) k where not k = any (reached) order by k);
        reached := reached || layer;
    end loop;
    status := start;
    way := start;
    loop
        way := concat_ws(' ', steps -> status ->> 'from', steps -> status ->> 'by', way);
        status := steps -> status ->> 'from';
        exit when status = start;
    end loop;
    return way;
end
$$;
