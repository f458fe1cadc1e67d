-- The error of a template that cannot be read, and a hint; nulls if it can be read. It does not tell whether a row has
-- the names in the template: only rendering with that row does.
create or replace function rowcall_internal.template_error(template text, columns text[], out error text, out hint text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    name text;
    meant text;
begin
    select t.error into error from rowcall_internal.template_parse(template) t;
    if error is null then
        return;
    end if;
    name := substring(error from 'there is no name ([A-Za-z0-9_]+)');
    meant := case when name = any (columns) then 'row.' || name else rowcall_internal.similar_word(name, '{row,job,values}') end;
    name := substring(error from 'there is no filter ([A-Za-z0-9_]+)');
    meant := coalesce(meant, rowcall_internal.similar_word(name, '{default,lower,tojson,trim,upper}'));
    error := error || coalesce('; did you mean ' || meant || '?', '');
    hint := 'Between {{ and }} stand names such as row.id, row["a b"], row.tags[0], job.id or values.x, strings, integers, '
        '"or", and the filters default, lower, tojson, trim and upper (docs/parameters.md, Templates).';
end
$$;
