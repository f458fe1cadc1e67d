-- Renders a template over a context as the daemon would (src/parameters/render.rs), as far as that can be told here:
-- text and {{ … }} of the form that rowcall.render_expression() knows. One of the three comes back: the text; the error
-- that the daemon would meet, with its place; or, as "unsure", the part that only the daemon can tell.
create or replace function rowcall.render(template text, context jsonb,
    out rendered text, out error text, out unsure text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- What both engines take for space at the ends; of other space only the daemon knows.
    space constant text := E' \t\n\r\f\x0b';
    rest text := template;
    begin_at int;
    tag text;
    opening text;
    lead text;
    trim_next boolean := false;
    expression record;
    tags int := 0;
    first_error text;
begin
    rendered := '';
    loop
        begin_at := coalesce(length(substring(rest from '^(.*?)\{[{%#]')) + 1, 0);
        lead := case when begin_at = 0 then rest else left(rest, begin_at - 1) end;
        tag := substr(rest, begin_at, 3);
        if trim_next then
            lead := ltrim(lead, space);
            -- Beyond ASCII there is more space than we know of.
            if ascii(lead) > 127 then unsure := left(rest, 40); end if;
        end if;
        if begin_at > 0 and right(tag, 1) = '-' then
            lead := rtrim(lead, space);
            if ascii(right(lead, 1)) > 127 then unsure := tag; end if;
        end if;
        rendered := rendered || lead;
        exit when begin_at = 0 or unsure is not null;

        tags := tags + 1;
        -- The daemon bounds what a template may cost; far below that it does not matter how.
        if left(tag, 2) <> '{{' or tags > 1000 then
            unsure := substr(rest, begin_at, 40);
            exit;
        end if;
        rest := substr(rest, begin_at);
        opening := case when right(tag, 1) in ('-', '+') then tag else '{{' end;
        select * into expression from rowcall.render_expression(substr(rest, length(opening) + 1), context);
        if expression.length is null then
            unsure := coalesce(substring(rest from '^.*?\}\}'), left(rest, 40));
            exit;
        end if;
        rest := substr(rest, length(opening) + 1);
        trim_next := substr(rest, expression.length - 2, 1) = '-';
        if expression.error is not null then
            first_error := coalesce(first_error, format('%s%s: %s', opening, left(rest, expression.length), expression.error));
        end if;
        rendered := rendered || coalesce(expression.value, '');
        rest := substr(rest, expression.length + 1);
    end loop;

    -- What cannot be told comes first: it may be what keeps an error from happening.
    if unsure is not null then
        rendered := null;
    elsif first_error is not null then
        rendered := null;
        error := first_error;
    end if;
end
$$;
