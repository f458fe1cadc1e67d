-- The tokens of an expression up to its end, }} with a sign for white space or not, and after it how many characters they
-- took; null if there is anything in it that rowcall.render_expression() does not know.
create or replace function rowcall.render_tokens(source text) returns text[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    tokens text[] := '{}';
    at int := 1;
    depth int := 0;
    token text;
begin
    loop
        at := at + length(substring(substr(source, at) from '^[ \t\n\r\f]*'));
        -- A number that goes on in any way, and a text with a backslash, are more than they look like.
        token := substring(substr(source, at) from
            '^([A-Za-z_][A-Za-z0-9_]*|''[^''\\]*''|"[^"\\]*"|(?:0|[1-9][0-9]{0,17})(?![A-Za-z0-9_.])|[-+]?\}\}|[][().,|])');
        if token is null then
            return null;
        end if;
        at := at + length(token);
        depth := depth + case when token in ('(', '[') then 1 when token in (')', ']') then -1 else 0 end;
        tokens := tokens || token;
        if token ~ '\}\}$' and token !~ '^[''"]' then
            return case when depth = 0 then tokens || (at - 1)::text end;
        end if;
        if cardinality(tokens) > 200 then
            return null;
        end if;
    end loop;
end
$$;
