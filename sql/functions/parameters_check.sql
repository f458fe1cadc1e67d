-- Checks of a parameters row that need another table; the others are CHECK constraints of the table.
create or replace function rowcall.parameters_check() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    column_type regtype;
    value record;
begin
    if not exists (select from rowcall.source_tables where relation = new.source_table) then
        raise exception 'parameters.source_table: table % is not watched', new.source_table
            using errcode = '23514', column = 'source_table',
                  hint = format('First: SELECT rowcall.watch(%L);', new.source_table);
    end if;
    if new.result_column is not null then
        select atttypid::regtype into column_type from pg_attribute
        where attrelid = new.source_table and attname = new.result_column and attnum > 0 and not attisdropped;
        if column_type is distinct from 'jsonb'::regtype then
            raise exception 'parameters.result_column: % has no jsonb column %',
                    new.source_table, quote_ident(new.result_column)
                using errcode = '23514', column = 'result_column',
                      hint = 'Name a jsonb column of the source table, or NULL to write only the status.';
        end if;
    end if;
    -- String literals become S, so that what is left of a variable is $S.
    if regexp_replace(new.condition::text, '"([^"\\]|\\.)*"', 'S', 'g') ~ '\$S' then
        raise exception 'parameters.condition: variables are not known here: %', new.condition
            using errcode = '23514', column = 'condition', hint = 'A condition sees the row, as $, and nothing else.';
    end if;
    -- What is no object is left to the CHECK constraint.
    for value in
        select * from jsonb_each(case when jsonb_typeof(new.environment) = 'object' then new.environment else '{}' end)
    loop
        if value.key !~ '^[A-Za-z_][A-Za-z0-9_]*$' or jsonb_typeof(value.value) <> 'string' then
            raise exception 'parameters.environment: %: % is not a variable name with a string',
                    to_json(value.key), value.value
                using errcode = '23514', column = 'environment',
                      hint = 'The form is {"NAME": "text or {{ template }}"}.';
        end if;
        -- The others that begin so are options of rowcall-task.
        if value.key in ('ROWCALL_TOKEN', 'ROWCALL_DATABASE_URL', 'ROWCALL_JOB', 'ROWCALL_ATTEMPT', 'ROWCALL_EXECUTOR',
                'ROWCALL_PROGRESS_FILE', 'ROWCALL_LOCAL_INPUT', 'ROWCALL_LOCAL_OUTPUT') then
            raise exception 'parameters.environment: the name % is Rowcall''s own', value.key
                using errcode = '23514', column = 'environment',
                      hint = 'It is set by the dispatcher or by rowcall-task.';
        end if;
    end loop;
    if tg_op = 'UPDATE' then
        new.version := old.version + 1;
    else
        -- A name that was used before goes on counting, so that (name, version) stays unique in the history.
        new.version := 1 + coalesce((select max(h.version) from rowcall.parameters_history h where h.name = new.name), 0);
    end if;
    new.updated := clock_timestamp();
    return new;
end
$$;
drop trigger if exists parameters_check on rowcall.parameters;
create trigger parameters_check before insert or update on rowcall.parameters
    for each row execute function rowcall.parameters_check();
