-- Reads one expression of a template; "source" begins after its {{. Returns its terms (the values between "or") and its
-- length with the }}; or an error. A term is a path (["row", "tags", 0]) or a literal, with the filters after it
-- (["upper"], ["default", "x"]).
create or replace function rowcall_internal.template_expression(source text, out terms jsonb, out length int, out error text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    -- A bound on the work that one expression can ask for.
    most constant int := 1000;
    job_members constant text[] := '{id,task,attempt,row_key,on_status}';
    is_string constant text := '^[''"].*[''"]$';
    is_integer constant text := '^(0|-?[1-9][0-9]{0,17})$';
    is_index constant text := '^(0|[1-9][0-9]{0,8})$';
    tokens text[];
    ends int[];
    place int := 1;
    token text;
    term jsonb;
    path jsonb;
    filters jsonb;
    wanted text;
begin
    select t.tokens, t.ends into tokens, ends from rowcall_internal.template_tokens(left(source, most)) t;
    terms := '[]';
    loop
        -- What a term begins with.
        token := tokens[place];
        place := place + 1;
        if token ~ is_string then
            term := jsonb_build_object('literal', substr(token, 2, pg_catalog.length(token) - 2));
        elsif token ~ is_integer then
            term := jsonb_build_object('literal', token::bigint);
        elsif token ~ '^-?[0-9]' then
            wanted := 'an integer of at most 18 digits without leading zeros';
            exit;
        elsif token ~ '^[A-Za-z_]' and token <> 'or' then
            if token not in ('row', 'job', 'values') then
                error := format('there is no name %s; a template sees row, job and values', left(token, 40));
                exit;
            end if;
            path := jsonb_build_array(token);
            while tokens[place] in ('.', '[') loop
                token := tokens[place + 1];
                if tokens[place] = '.' then
                    if token !~ '^[A-Za-z_]' or token is null then
                        wanted := 'a name';
                        exit;
                    end if;
                    path := path || to_jsonb(token);
                    place := place + 2;
                else
                    if token ~ is_string then
                        path := path || to_jsonb(substr(token, 2, pg_catalog.length(token) - 2));
                    elsif token ~ is_index then
                        path := path || to_jsonb(token::int);
                    else
                        wanted := 'a string or an integer from 0 to 999999999';
                        exit;
                    end if;
                    token := tokens[place + 2];
                    if token is distinct from ']' then
                        wanted := '"]"';
                        exit;
                    end if;
                    place := place + 3;
                end if;
                if path ->> 0 = 'job' and jsonb_array_length(path) = 2 and path ->> 1 <> all (job_members) then
                    error := format('job has no member %s; it has id, task, attempt, row_key and on_status', left(path ->> 1, 40));
                    exit;
                end if;
            end loop;
            exit when wanted is not null or error is not null;
            term := jsonb_build_object('path', path);
        else
            wanted := 'a name, a string or an integer';
            exit;
        end if;

        filters := '[]';
        while tokens[place] = '|' loop
            token := tokens[place + 1];
            place := place + 2;
            if token in ('tojson', 'upper', 'lower', 'trim') then
                filters := filters || jsonb_build_array(jsonb_build_array(token));
                continue;
            elsif token !~ '^[A-Za-z_]' or token is null then
                wanted := 'a filter';
                exit;
            elsif token <> 'default' then
                error := format('there is no filter %s; there are default, lower, tojson, trim and upper', left(token, 40));
                exit;
            end if;
            token := tokens[place];
            if token is distinct from '(' then
                wanted := '"(" after default';
                exit;
            end if;
            token := tokens[place + 1];
            if token ~ is_string then
                filters := filters || jsonb_build_array(jsonb_build_array('default', substr(token, 2, pg_catalog.length(token) - 2)));
            elsif token ~ is_integer then
                filters := filters || jsonb_build_array(jsonb_build_array('default', token::bigint));
            else
                wanted := 'a string or an integer in default(...)';
                exit;
            end if;
            token := tokens[place + 2];
            if token is distinct from ')' then
                wanted := '")"';
                exit;
            end if;
            place := place + 3;
        end loop;
        exit when wanted is not null or error is not null;
        terms := terms || (term || jsonb_build_object('filters', filters));

        token := tokens[place];
        if token = '}}' then
            length := ends[place];
            return;
        elsif token is distinct from 'or' then
            wanted := '"|", "or" or "}}"';
            exit;
        end if;
        place := place + 1;
    end loop;
    terms := null;
    if error is not null then
        return;
    elsif coalesce(token, '''') not in ('''', '"') then
        error := format('expected %s, found %s', wanted, left(token, 40));
    elsif pg_catalog.length(source) > most then
        error := format('an expression may have %s characters', most);
    elsif token is not null then
        error := 'a string in quotes is not closed';
    else
        error := '"{{" is not closed by "}}"';
    end if;
end
$$;
