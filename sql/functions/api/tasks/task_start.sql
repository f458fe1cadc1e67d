-- Admits the first executor of an attempt and returns its work. Any other caller is refused. The same executor may call
-- again, because its first answer may have been lost; so it can give itself a name.
--
-- An ECS task also gives its ARN, in case the answer to its launch was lost. The ARN is noted only if the dispatcher
-- has noted none, and no other open attempt has it.
create or replace function rowcall.task_start(token text, executor text default null, external_id text default null)
returns table (job_id bigint, attempt int, task text, source_table text, row_key jsonb, row_data jsonb, "values" jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    mine rowcall_internal.attempts := rowcall_internal.open_attempt(token);
    found_row record;
    terms jsonb;
begin
    if mine.started_at is not null and (mine.executor is null or mine.executor is distinct from task_start.executor) then
        raise exception 'rowcall: this attempt was started already, by another executor'
            using errcode = 'RC003', hint = 'One attempt has one executor. Stop, and change nothing.';
    end if;
    update rowcall_internal.attempts a
    set started_at = coalesce(a.started_at, clock_timestamp()), heartbeat_at = clock_timestamp(), executor = task_start.executor,
        external_id = coalesce(a.external_id, case
            when a.runner = 'ecs' and task_start.external_id ~ '^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]+:task/[A-Za-z0-9_/-]+$'
                 and not exists (select from rowcall_internal.attempts other where other.external_id = task_start.external_id)
            then task_start.external_id end)
    where a.id = mine.id;
    select t.terms into terms from rowcall_internal.terms t where t.id = mine.terms_id;
    if not found then
        raise exception 'rowcall: the terms of this attempt are gone' using errcode = 'RC016', hint = 'Stop, and change nothing.';
    end if;
    select r.row_data, r.error into found_row from rowcall_internal.source_rows(mine.source_table, array[mine.row_key]) r;
    if found_row.error is not null then
        raise warning 'rowcall.task_start: row_data is null, because the row cannot be read: %', found_row.error;
    end if;
    return query
    select mine.job_id, mine.number, mine.task,
           (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.oid = mine.source_table),
           mine.row_key,
           found_row.row_data::jsonb,
           coalesce(terms->'launch'->'values', '{}');
end
$$;
