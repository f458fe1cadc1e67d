-- What is certainly wrong with a template, and what helps; nulls if nothing is. It reads as minijinja's lexer does, and
-- refuses only what minijinja would refuse for every row: a {{, {% or {# that is not closed, and a first name that cannot
-- exist. Where a block ({% set %}, {% for %}, {% if %}) may make names, or skip them, names are not looked at.
create or replace function rowcall.template_error(template text, columns text[], out error text, out hint text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    rest text := template;
    opening text;
    closing text;
    ending text;
    inside text;
    part text;
    depth int;
    blocks boolean := false;
    -- What the braces {{ }} hold, each.
    expressions text[] := '{}';
    name text;
    meant text;
begin
    -- The work grows faster than the template.
    if length(template) > 20000 then
        return;
    end if;
    loop
        opening := substring(rest from '\{[{%#]');
        exit when opening is null;
        rest := substr(rest, strpos(rest, opening));
        inside := rest;
        closing := case opening when '{{' then '}}' when '{%' then '%}' else '#}' end;
        rest := regexp_replace(substr(rest, 3), '^[-+]', '');
        if opening = '{#' then
            if strpos(rest, closing) = 0 then
                exit;
            end if;
            rest := substr(rest, strpos(rest, closing) + 2);
            inside := null;
            continue;
        end if;
        if opening = '{%' and rest ~ '^\s*raw\s*[-+]?%\}' then
            if rest !~ '\{%[-+]?\s*endraw\s*[-+]?%\}' then
                closing := '{% endraw %}';
                exit;
            end if;
            rest := regexp_replace(rest, '^.*?\{%[-+]?\s*endraw\s*[-+]?%\}', '');
            inside := null;
            continue;
        end if;
        ending := case opening when '{{' then '^[-+]?\}\}' else '^[-+]?%\}' end;
        blocks := blocks or opening = '{%';
        inside := rest;
        depth := 0;
        loop
            if depth = 0 and ltrim(rest, E' \t\n\r\f') ~ ending then
                if opening = '{{' then
                    expressions := expressions || left(inside, length(inside) - length(rest));
                end if;
                rest := regexp_replace(ltrim(rest, E' \t\n\r\f'), '^[-+]?..', '');
                inside := null;
                exit;
            end if;
            -- A string in quotes, a run of what means nothing here, or one character.
            part := substring(rest from '^(?:"(?:[^"\\]|\\.)*"|''(?:[^''\\]|\\.)*''|[^]["''(){}%+-]+|.)');
            exit when part is null or part in ('"', '''');
            depth := depth + case when part in ('(', '[', '{') then 1 when part in (')', ']', '}') then -1 else 0 end;
            rest := substr(rest, length(part) + 1);
        end loop;
        exit when inside is not null;
    end loop;
    if opening is not null then
        if part in ('"', '''') then
            error := format('a text in quotes is not closed after %s', opening);
            hint := format('It begins at: %s', left(rest, 40));
        else
            error := format('%s is not closed by %s', opening, closing);
            hint := format('The form is {{ row.column }}, {{ job.id }} or {{ values.name }}. It stands before: %s',
                left(ltrim(inside), 40));
        end if;
        return;
    end if;
    if blocks then
        return;
    end if;
    foreach inside in array expressions loop
        name := substring(inside from '^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:$|[.[])');
        continue when name is null or inside ~ '\yif\y'
            or name in ('row', 'job', 'values', 'true', 'True', 'false', 'False', 'none', 'None', 'loop', 'self', 'not',
                        'range', 'dict', 'debug', 'namespace');
        meant := case when name = any (columns) then 'row.' || name else rowcall.similar_word(name, '{row,job,values}') end;
        error := format('{{ %s }}: there is no name %s%s', left(btrim(inside), 60), left(name, 60),
            '; did you mean ' || meant || '?');
        hint := 'Templates see row (the columns of the table), job (id, task, attempt, row_key, on_status) and values.';
        return;
    end loop;
end
$$;
