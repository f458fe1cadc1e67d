-- The first conflict between columns of a row of rowcall.parameters, each of which has its form, with a hint; nulls if
-- there is none.
create or replace function rowcall_internal.parameters_conflict(
    parameters rowcall.parameters, out place text, out error text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    range record;
begin
    for place in select unnest('{status_running,status_succeeded,status_failed,status_runner_failed}'::text[]) loop
        if to_jsonb(parameters) ->> place = parameters.on_status then
            error := format('parameters.%s must differ from on_status, and both are %s', place, to_json(parameters.on_status));
            hint := 'Choose another status: a row that comes back into on_status would start the task again, without end.';
            return;
        end if;
    end loop;
    if parameters.backoff_max < parameters.backoff then
        place := 'backoff_max';
        error := format('parameters.backoff_max must be at least backoff, which is %s, and is %s',
            parameters.backoff, parameters.backoff_max);
        hint := 'Raise backoff_max or lower backoff: the wait doubles from backoff to backoff_max.';
        return;
    end if;
    if parameters.concurrency_key is null and parameters.max_running_per_key <> 1 then
        place := 'max_running_per_key';
        error := format('parameters.max_running_per_key is %s, and there is no concurrency_key', parameters.max_running_per_key);
        hint := 'Set concurrency_key to a template such as {{ row.attributes.customer }}, or cap the whole task with max_running.';
        return;
    end if;
    place := 'retry_on';
    select word, position into range
    from unnest(parameters.retry_on) with ordinality w(word, position),
        regexp_match(word, '^!?exit:([0-9]+)(?:-([0-9]+))?$') m(n)
    where m.n[1]::int > 255 or m.n[2]::int > 255 or m.n[2]::int < m.n[1]::int
    order by position limit 1;
    if found then
        error := format('parameters.retry_on[%s]: exit codes go from 0 to 255, the smaller first, and it is %s',
            range.position, to_json(range.word));
        hint := 'The form is exit:2 or exit:64-113.';
        return;
    end if;
    if parameters.retry_on <> '{}' and not exists (select from unnest(parameters.retry_on) w where w !~ '^!') then
        error := format('parameters.retry_on has only words with a ! before them, and so retries nothing: %s',
            to_json(parameters.retry_on));
        hint := format('For all failures but exit code 2: {%s,!exit:2}. To never retry: {}.',
            (select string_agg(o.outcome, ',') from rowcall_internal.outcomes() o where o.retryable));
        return;
    end if;
    place := null;
end
$$;
