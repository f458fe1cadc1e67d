-- Before an edit of rowcall.parameters: refuses a wrong row, with what is wrong and what helps, and counts the version.
-- Columns that did not change are not checked again, so that a row that became wrong for another reason can still be
-- disabled; only how columns fit together is always checked. Behind this stand the CHECK constraints of the table.
create or replace function rowcall_internal.parameters_check() returns trigger
language plpgsql security definer
-- Planned for thousands of rows where there are dozens: compiling would take longer than all else.
set jit = off
set search_path = pg_catalog, pg_temp set intervalstyle = 'postgres'
as $$
declare
    parameters jsonb := to_jsonb(new);
    changed text[];
    wrong record;
    column_type regtype;
    variable record;
begin
    if tg_op = 'INSERT' then
        changed := array(select jsonb_object_keys(parameters));
    else
        changed := array(select n.key from jsonb_each(parameters) n where n.value is distinct from to_jsonb(old) -> n.key);
    end if;

    -- First of all, because other errors repeat what they refuse.
    for wrong in
        select e.key as place, s.error, s.hint
        from jsonb_each(parameters) e cross join rowcall_internal.secret_error(new.runner, e.key, e.value) s
        where e.key in ('command', 'environment', 'values', 'settings') and e.key = any (changed)
    loop
        exit when wrong.error is not null;
    end loop;
    if wrong.error is not null then
        raise exception 'parameters.%', wrong.error using errcode = '23514', column = wrong.place, hint = wrong.hint;
    end if;

    select * into wrong from rowcall_internal.parameters_form_error(parameters, changed);
    if wrong.error is null then
        select * into wrong from rowcall_internal.parameters_conflict(new);
    end if;
    if wrong.error is not null then
        raise exception '%', wrong.error using errcode = '23514', column = wrong.place, hint = wrong.hint;
    end if;

    if 'source_table' = any (changed)
        and not exists (select from rowcall_internal.source_tables where relation = new.source_table)
    then
        raise exception 'parameters.source_table: table % is not watched', new.source_table
            using errcode = '23514', column = 'source_table',
                  hint = format('First: SELECT rowcall.watch(%L);', new.source_table);
    end if;
    for wrong in
        select w.place, w.word, rowcall_internal.status_problem(new.source_table, w.word) as error
        from (values ('on_status', new.on_status), ('status_running', new.status_running),
            ('status_succeeded', new.status_succeeded), ('status_failed', new.status_failed),
            ('status_runner_failed', new.status_runner_failed)) w(place, word)
        where changed && array['source_table', w.place]
    loop
        if wrong.error is not null then
            raise exception 'parameters.%: the status column of % does not take %: %', wrong.place, new.source_table, wrong.word, wrong.error
                using errcode = '23514', column = wrong.place,
                      hint = 'Name a word that the column takes; of the status_ columns, null leaves the status as it is.';
        end if;
    end loop;
    if new.result_column is not null and changed && '{source_table,result_column}' then
        select atttypid::regtype into column_type from pg_attribute
        where attrelid = new.source_table and attname = new.result_column and attnum > 0 and not attisdropped and attgenerated = '';
        if column_type is distinct from 'jsonb'::regtype then
            raise exception 'parameters.result_column: % has no jsonb column %',
                    new.source_table, quote_ident(new.result_column)
                using errcode = '23514', column = 'result_column',
                      hint = 'Name a jsonb column of the source table that is not generated, or NULL to write only the status.';
        end if;
    end if;
    -- String literals become S, so that what is left of a variable is $S.
    if 'condition' = any (changed)
        and regexp_replace(new.condition::text, '"([^"\\]|\\.)*"', 'S', 'g') ~ '\$S'
    then
        raise exception 'parameters.condition: a condition must not use variables: %', new.condition
            using errcode = '23514', column = 'condition', hint = 'A condition sees only the row, as $.';
    end if;
    for variable in select * from jsonb_each(new.environment) where 'environment' = any (changed) loop
        if variable.key !~ '^[A-Za-z_][A-Za-z0-9_]*$' or jsonb_typeof(variable.value) <> 'string' then
            raise exception 'parameters.environment: %: % is not a variable name with a string',
                    to_json(variable.key), variable.value
                using errcode = '23514', column = 'environment',
                      hint = 'The form is {"NAME": "string or {{ template }}"}.';
        end if;
        -- The others that begin so are options of rowcall-task.
        if variable.key in ('ROWCALL_TOKEN', 'ROWCALL_DATABASE_URL', 'ROWCALL_JOB', 'ROWCALL_ATTEMPT', 'ROWCALL_EXECUTOR',
                'ROWCALL_PROGRESS_FILE', 'ROWCALL_LOCAL_INPUT', 'ROWCALL_LOCAL_OUTPUT') then
            raise exception 'parameters.environment: the name % is Rowcall''s own', variable.key
                using errcode = '23514', column = 'environment',
                      hint = 'The dispatcher or rowcall-task sets it. Choose another name.';
        end if;
    end loop;
    select * into wrong from rowcall_internal.parameters_template_error(new, changed);
    if wrong.error is not null then
        raise exception '%', wrong.error using errcode = '23514', column = wrong.place, hint = wrong.hint;
    end if;

    if tg_op = 'UPDATE' then
        new.version := old.version + 1;
    else
        -- A name that was used before goes on counting, so that (name, version) stays unique in the history.
        new.version := 1 + coalesce((select max(h.version) from rowcall_internal.parameters_history h where h.name = new.name), 0);
    end if;
    new.updated_at := clock_timestamp();
    return new;
end
$$;
drop trigger if exists parameters_check on rowcall.parameters;
create trigger parameters_check before insert or update on rowcall.parameters
    for each row execute function rowcall_internal.parameters_check();
