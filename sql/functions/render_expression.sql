-- Evaluates one {{ … }} of a template, given from after its {{: names joined by dots, ["key"] and [0], texts and whole
-- numbers, filters, "or" between them. length says how much of the source it took, with its }}; it is null where the form
-- or the outcome is one that only the daemon knows. The daemon's engine is strict: a name that does not exist is an
-- error, unless default() is told of it, and so is a null that would be printed.
create or replace function rowcall.render_expression(source text, context jsonb,
    out value text, out error text, out length int)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    no_name constant text := 'a name in it does not exist for this row';
    tokens text[] := rowcall.render_tokens(source);
    place int := 1;
    token text;
    result jsonb;
    -- Of a value that came from a name that does not exist.
    missing boolean;
    -- A falsy operand before an "or" is passed over, a true one is the result.
    decided boolean := false;
    decided_value jsonb;
    problem text;
    filter text;
    arguments jsonb[];
    kind text;
begin
    if tokens is null then
        return;
    end if;
    loop
        -- An operand: what it begins with.
        token := tokens[place];
        place := place + 1;
        missing := false;
        if token ~ '^[''"]' then
            result := to_jsonb(substr(token, 2, pg_catalog.length(token) - 2));
            if tokens[place] ~ '^[''"]' then
                return;
            end if;
        elsif token ~ '^[0-9]' then
            result := token::jsonb;
        elsif token ~ '^[A-Za-z_]' then
            if context ? token then
                result := context -> token;
            elsif token ~ '^([Tt]rue|[Ff]alse|[Nn]one|not|range|dict|debug|namespace|self|super|loop|caller)$' then
                return;
            else
                missing := true;
            end if;
            -- A word that is none: "x is defined", "x if y" and the like are found below, at the word.
            while tokens[place] in ('.', '[') and problem is null loop
                if missing then
                    problem := no_name;
                end if;
                kind := jsonb_typeof(result);
                token := tokens[place + 1];
                if tokens[place] = '.' then
                    if token !~ '^[A-Za-z_]' then
                        return;
                    end if;
                    result := case when kind = 'object' then result -> token end;
                    place := place + 2;
                else
                    if tokens[place + 2] is distinct from ']' then
                        return;
                    end if;
                    if token ~ '^[''"]' then
                        result := case when kind = 'object' then result -> substr(token, 2, pg_catalog.length(token) - 2) end;
                    elsif token ~ '^[0-9]{1,9}$' then
                        result := case kind when 'array' then result -> token::int
                            when 'string' then to_jsonb(nullif(substr(result #>> '{}', token::int + 1, 1), '')) end;
                    else
                        return;
                    end if;
                    place := place + 3;
                end if;
                missing := result is null;
            end loop;
            -- The rest of a name that has failed must still be of the known form.
            while tokens[place] in ('.', '[') loop
                if tokens[place] = '.' and tokens[place + 1] ~ '^[A-Za-z_]' then
                    place := place + 2;
                elsif tokens[place] = '[' and tokens[place + 1] ~ '^[''"0-9]' and tokens[place + 2] = ']' then
                    place := place + 3;
                else
                    return;
                end if;
            end loop;
        else
            return;
        end if;

        -- Its filters.
        while tokens[place] = '|' loop
            filter := tokens[place + 1];
            place := place + 2;
            arguments := '{}';
            if tokens[place] = '(' then
                place := place + 1;
                while tokens[place] <> ')' loop
                    token := tokens[place];
                    if token ~ '^[''"]' then
                        arguments := arguments || to_jsonb(substr(token, 2, pg_catalog.length(token) - 2));
                    elsif token ~ '^[0-9]' then
                        arguments := arguments || token::jsonb;
                    elsif token in ('true', 'false') then
                        arguments := arguments || token::jsonb;
                    else
                        return;
                    end if;
                    place := place + 1;
                    if tokens[place] = ',' then
                        place := place + 1;
                    elsif tokens[place] is distinct from ')' then
                        return;
                    end if;
                end loop;
                place := place + 1;
            end if;
            if filter in ('default', 'd') and cardinality(arguments) <= 2 then
                if problem is null and (missing
                    or coalesce(arguments[2] = 'true', false) and not rowcall.render_truth(result))
                then
                    result := coalesce(arguments[1], '""');
                    missing := false;
                end if;
                if cardinality(arguments) = 2 and jsonb_typeof(arguments[2]) <> 'boolean' then
                    return;
                end if;
            elsif filter = 'tojson' and arguments = '{}' then
                if problem is null then
                    result := to_jsonb(case when missing then 'null' else rowcall.render_json(result) end);
                    missing := false;
                    if result is null then
                        return;
                    end if;
                end if;
            elsif filter in ('upper', 'lower', 'trim') and arguments = '{}' then
                if problem is null and missing then
                    problem := no_name;
                elsif problem is null then
                    -- Beyond ASCII there are letters without a pair, and more than one idea of space.
                    if jsonb_typeof(result) <> 'string' or result #>> '{}' ~ '[^\x01-\x7f]' then
                        return;
                    end if;
                    result := to_jsonb(case filter
                        when 'upper' then upper((result #>> '{}') collate "C")
                        when 'lower' then lower((result #>> '{}') collate "C")
                        else btrim(result #>> '{}', E' \t\n\r\f\x0b') end);
                end if;
            else
                return;
            end if;
        end loop;

        token := tokens[place];
        if token = 'or' then
            place := place + 1;
            if not decided and problem is null then
                if missing then
                    problem := no_name;
                elsif rowcall.render_truth(result) then
                    decided := true;
                    decided_value := result;
                end if;
            end if;
            -- An operand after one that decides is not evaluated; an error before it stands.
            if problem is not null and not decided then
                error := coalesce(error, problem);
            end if;
            problem := null;
            continue;
        elsif token ~ '^[-+]?\}\}$' then
            exit;
        end if;
        return;
    end loop;

    length := tokens[place + 1]::int;
    if error is not null then
        return;
    elsif decided then
        result := decided_value;
    elsif problem is not null or missing then
        error := coalesce(problem, no_name);
        return;
    end if;
    case jsonb_typeof(result)
        when 'string' then value := result #>> '{}';
        when 'number' then value := rowcall.render_number(result);
        when 'boolean' then value := initcap(result::text);
        when 'null' then error := 'the value is null (write {{ value or ''text'' }} if that is meant)';
        else
    end case;
    if value is null and error is null then
        length := null;
    end if;
end
$$;
