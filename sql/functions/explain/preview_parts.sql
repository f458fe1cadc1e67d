-- For each task of a source table: the row as its templates would see it, what would keep it from running ("against"),
-- and what it would wait for ("waits"). rowcall.preview() adds the rendered templates and the settings.
create or replace function rowcall_internal.preview_parts(source regclass, wanted jsonb)
returns table (task text, job_id bigint, attempt int, row_data jsonb, concurrency_key text,
               against text[], waits text[], limits jsonb, write_back jsonb)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- As in rowcall_internal.source_rows: the same for every viewer.
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set bytea_output = 'hex'
set extra_float_digits = 1 set lc_monetary = 'C' set quote_all_identifiers = off
as $$
#variable_conflict use_column
declare
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
    found_row record;
    p rowcall.parameters;
    j rowcall_internal.jobs;
    given record;
    status jsonb;
begin
    select * into found_row from rowcall_internal.source_rows(source, array[wanted]);
    if not found then
        raise exception 'no row of % has the key %', source, wanted
            using errcode = 'P0002', hint = 'What happened to rows that are gone: SELECT rowcall.explain(table, key);';
    elsif found_row.error is not null then
        raise exception '% cannot be read: %', source, found_row.error using errcode = 'RC011';
    end if;

    for p in select * from rowcall.parameters t where t.source_table = source order by t.priority desc, t.name loop
        select * into j from rowcall_internal.jobs b where b.source_table = source and b.short_key = rowcall.short_key(wanted) and b.task = p.name;
        task := p.name;
        job_id := j.id;
        attempt := coalesce(j.attempt_count, 0) + (j.state is distinct from 'running')::int;
        row_data := found_row.row_data::jsonb;
        if found_row.status is distinct from p.on_status then
            -- As the column would hold it: a number, a switch, padded.
            begin
                execute format('select to_jsonb($1::%s)', (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                    where a.attrelid = source and a.attname = entry.status_column and not a.attisdropped))
                into status using p.on_status;
            exception when others then
                status := to_jsonb(p.on_status);
            end;
            row_data := row_data || jsonb_build_object(entry.status_column, status);
        end if;

        select r.rendered, 'parameters.concurrency_key: ' || r.error as error into given
        from rowcall.render(p.concurrency_key, rowcall_internal.preview_context(p, job_id, attempt, wanted, row_data)) r
        where p.concurrency_key is not null;
        concurrency_key := given.rendered;
        if octet_length(concurrency_key) > 500 then
            given.error := format('parameters.concurrency_key: the key has %s bytes; 500 are allowed', octet_length(concurrency_key));
            concurrency_key := null;
        end if;
        against := array(select h.reason from rowcall_internal.start_blockers(p.name, concurrency_key) h where not h.waits);
        waits := array(select h.reason from rowcall_internal.start_blockers(p.name, concurrency_key) h where h.waits);
        if p.condition is not null and not rowcall_internal.condition_holds(row_data, p.condition) then
            against := against || format('its condition is not met: %s', p.condition);
        end if;
        if rowcall_internal.owner_before(p, row_data) is not null then
            against := against || format('%s goes before it (route_order, then name) and owns the status of this row',
                rowcall_internal.owner_before(p, row_data));
        end if;
        if given.error is not null then
            against := against || given.error;
        end if;
        if j.state = 'blocked' then
            against := against || format('job %s is blocked: %s', j.id, j.reason);
        elsif j.id is not null then
            waits := case j.state when 'running' then format('job %s of it runs now', j.id)
                when 'waiting' then format('job %s waits until %s: %s', j.id, date_trunc('second', j.due_at), j.reason)
                else format('job %s is pending', j.id) end || waits;
        elsif found_row.status is distinct from p.on_status then
            waits := format('for %s to become %s (it is %s)', entry.status_column, p.on_status,
                coalesce(found_row.status, 'null')) || waits;
        elsif against = '{}' then
            waits := format('the row is %s, and there is no job: see rowcall.explain', p.on_status) || waits;
        end if;

        limits := jsonb_build_object('max_attempts', p.max_attempts, 'retry_on', p.retry_on, 'backoff', p.backoff,
            'backoff_max', p.backoff_max, 'timeout', p.timeout, 'heartbeat_timeout', p.heartbeat_timeout,
            'launch_timeout', p.launch_timeout, 'max_running', p.max_running, 'priority', p.priority)
            || case when p.concurrency_key is null then '{}' else jsonb_build_object(
                'concurrency_key', coalesce(concurrency_key, p.concurrency_key),
                'max_running_per_key', p.max_running_per_key) end;
        write_back := jsonb_build_object('status_running', p.status_running, 'status_running_by', p.status_running_by,
            'on_moved', p.on_moved,
            'status_succeeded', p.status_succeeded, 'status_failed', p.status_failed,
            'status_runner_failed', p.status_runner_failed, 'route_order', p.route_order,
            'result_column', p.result_column, 'completion', p.completion, 'notify_channel', p.notify_channel);
        return next;
    end loop;
end
$$;
