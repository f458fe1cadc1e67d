-- What each task of a source table would do with a row of it, as the row is now but in that task's status: one line
-- for each task, whether it is to run or not.
--
-- runs: true if a dispatcher would start it when the row enters the status, at once or as soon as there is room; false if
-- somebody has to change something first; null if that depends on a template that only the daemon can render (unrendered
-- names it). why: what stands in the way, or what it waits for.
create or replace function rowcall.preview(source regclass, key text)
returns table (task text, runs boolean, why text, runner text, target text, command text[], environment jsonb,
               settings jsonb, limits jsonb, write_back jsonb, unrendered text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    entry rowcall.source_tables := rowcall.source_of(source);
    wanted jsonb := rowcall.row_key(source, key);
    found_row record;
    p rowcall.parameters;
    j rowcall.jobs;
    merged jsonb;
    as_there jsonb;
    given record;
    against text[];
    waits text[];
begin
    select * into found_row from rowcall.source_rows(source, array[wanted]);
    if not found then
        raise exception 'no row of % has the key %', source, wanted
            using errcode = 'P0002', hint = 'What happened to rows that are gone: SELECT rowcall.explain(table, key);';
    elsif found_row.error is not null then
        raise exception '% cannot be read: %', source, found_row.error using errcode = 'RC011';
    end if;

    for p in select * from rowcall.parameters t where t.source_table = source order by t.priority desc, t.name loop
        select * into j from rowcall.jobs b where b.source_table = source and b.row_key = wanted and b.task = p.name;
        merged := coalesce((select d.settings from rowcall.runner_defaults d where d.runner = p.runner), '{}') || p.settings;
        as_there := found_row.row_data || jsonb_build_object(entry.status_column, p.on_status);
        select * into given from rowcall.render_task(p, merged, jsonb_build_object(
            'row', as_there, 'values', p."values",
            'job', jsonb_strip_nulls(jsonb_build_object('id', j.id, 'task', p.name, 'on_status', p.on_status,
                'attempt', coalesce(j.attempts, 0) + (j.state is distinct from 'running')::int))
                || jsonb_build_object('row_key', wanted)));

        against := array(select h.reason from rowcall.held_back(p.name, given.concurrency_key) h where not h.waits);
        waits := array(select h.reason from rowcall.held_back(p.name, given.concurrency_key) h where h.waits);
        if p.condition is not null and not rowcall.condition_holds(as_there, p.condition) then
            against := against || format('its condition is not met: %s', p.condition);
        end if;
        -- As the daemon reads it: JSON's numbers as doubles.
        if as_there::text ~ '[0-9]{155}[0-9]{154}' then
            against := against || 'the row cannot be read: it holds a number that is too large'::text;
        end if;
        against := against || given.errors || array(
            select s.error from rowcall.settings_error(p.runner, jsonb_strip_nulls(merged)) s where s.error is not null
            union all
            select format('settings.%s is missing', k.key) from rowcall.settings_keys() k
            where k.runner = p.runner and k.needed and k.key !~ '\[' and coalesce(merged->k.key, 'null') = 'null');
        if j.state = 'blocked' then
            against := against || format('job %s is blocked: %s', j.id, j.reason);
        elsif j.state = 'running' then
            waits := format('job %s of it runs now', j.id)::text || waits;
        elsif j.state = 'waiting' then
            waits := format('job %s waits until %s: %s', j.id, date_trunc('second', j.due), j.reason)::text || waits;
        elsif j.state = 'pending' then
            waits := format('job %s is pending', j.id)::text || waits;
        elsif found_row.status is distinct from p.on_status then
            waits := format('for %s to become %s (it is %s)', entry.status_column, p.on_status,
                coalesce(found_row.status, 'null'))::text || waits;
        else
            waits := format('the row has been %s, and there is no job: see rowcall.explain', p.on_status)::text || waits;
        end if;

        task := p.name;
        runs := case when against <> '{}' then false when given.unsure <> '{}' then null else true end;
        why := nullif(array_to_string(against || waits, '; '), '');
        runner := p.runner;
        target := p.target;
        command := given.command;
        environment := given.environment;
        settings := given.settings;
        limits := jsonb_build_object('max_attempts', p.max_attempts, 'retry_on', p.retry_on, 'backoff', p.backoff,
            'backoff_max', p.backoff_max, 'timeout', p.timeout, 'heartbeat_timeout', p.heartbeat_timeout,
            'launch_timeout', p.launch_timeout, 'max_running', p.max_running, 'priority', p.priority)
            || case when p.concurrency_key is null then '{}' else jsonb_build_object(
                'concurrency_key', coalesce(given.concurrency_key, p.concurrency_key),
                'max_running_per_key', p.max_running_per_key) end;
        write_back := jsonb_build_object('status_running', p.status_running, 'status_running_by', p.status_running_by,
            'status_succeeded', p.status_succeeded, 'status_failed', p.status_failed,
            'result_column', p.result_column, 'completion', p.completion, 'notify_channel', p.notify_channel);
        unrendered := case when given.unsure <> '{}' then format('%s: "rowcall preview %s %s" renders it',
            array_to_string(given.unsure, ', '), source,
            case when key ~ '^[A-Za-z0-9_.:-]+$' then key else quote_literal(key) end) end;
        return next;
    end loop;
end
$$;

-- The same for a key of any type.
create or replace function rowcall.preview(source regclass, key anyelement)
returns table (task text, runs boolean, why text, runner text, target text, command text[], environment jsonb,
               settings jsonb, limits jsonb, write_back jsonb, unrendered text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select * from rowcall.preview(source, to_jsonb(key) #>> '{}')
$$;
