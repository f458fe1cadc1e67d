-- Whether a value in the place of a secret is not a secret itself: it is empty, a template, the name of a variable, a
-- path, an ARN, an address, a number of up to six characters, a placeholder such as ***, or a word such as true. Any
-- other word, such as "changeme", counts as a password.
create or replace function rowcall_internal.is_reference(value text) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        btrim(value, E' \t\n"''') = ''
        or value ~ '\{\{'
        or value ~ '^\s*(\$[A-Za-z_0-9{(]|%[A-Za-z_]+%|`)'
        or value ~ '^\s*(arn:|[A-Za-z]:\\|(~|\.{1,2})?/)'
        or value ~ '^[A-Za-z][A-Za-z0-9+.-]*://'
        or value ~* '^(ssm|secretsmanager|vault|op|env|file|keyring):'
        or value ~ '^[+-]?[0-9.]{1,6}$'
        or value ~ '^(\*+|\.+|…|<[^<>]*>|\[[^][]*\])$'
        or value ~* '^(true|false|yes|no|on|off|none|null|auto|required|optional|prompt|ask)$', true)
$$;
