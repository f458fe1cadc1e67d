-- The kind of secret that a string looks like, in words that end the sentence "… looks like …", or null. "name" is the
-- name of its variable, member or option; if it is null, only the string is looked at. The answer never repeats the
-- string, because it goes into error messages.
create or replace function rowcall_internal.secret_kind(name text, value text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    -- Forms that nothing else has.
    if value ~ '\y(AKIA|ASIA)[A-Z0-9]{16}\y' then
        return 'an access key of AWS';
    elsif value ~ '-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----' then
        return 'a private key';
    elsif value ~ '\y(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})' then
        return 'a token of GitHub';
    elsif value ~ '\yglpat-[A-Za-z0-9_-]{20,}' then
        return 'a token of GitLab';
    elsif value ~ '\y(xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}' then
        return 'a token of Slack';
    elsif value ~ '\y[sr]k_(live|test)_[A-Za-z0-9]{10,}' then
        return 'a key of Stripe';
    elsif value ~ '\yAIza[A-Za-z0-9_-]{35}' then
        return 'an API key of Google';
    elsif value ~ '\yeyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}' then
        return 'a signed token (JWT)';
    elsif value ~* '\y(bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}' and value ~* 'authorization' then
        return 'a header that signs in';
    -- Letters of both cases and digits, which a checksum in hexadecimal does not have.
    elsif concat(name, value) ~* '(aws|secret)'
        and value ~ '(^|[^A-Za-z0-9/+=])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[0-9])[A-Za-z0-9/+]{40}($|[^A-Za-z0-9/+=])'
        and not rowcall_internal.is_reference(value)
    then
        return 'a secret key of AWS';
    end if;
    for found in
        select m[1] as password
        from regexp_matches(value, '[a-z][a-z0-9+.-]*://[^/\s:@?,;#]*:([^@\s/?,;#]+)@', 'gi') m
    loop
        if not rowcall_internal.is_reference(found.password) then
            return 'an address with a password in it';
        end if;
    end loop;
    if rowcall_internal.names_secret(name) and not rowcall_internal.is_reference(value) then
        return format('a secret, by the name %s', left(name, 63));
    end if;
    -- password=… among the parts of a connection string, an option, a line of a script. With spaces around, as in a
    -- statement that compares columns, only a text in quotes.
    for found in
        select m[1] as name, coalesce(m[2], m[3], m[4]) as value, m[4] as bare
        from regexp_matches(value,
            '(?:^|[^A-Za-z0-9_.-])-{0,2}([A-Za-z_][A-Za-z0-9_.-]*)(?:=|\s?=\s?(?=["'']))(?:"([^"]*)"|''([^'']*)''|((?:\{\{.*?\}\}|\$\([^)]*\)|[^\s"'';&,])+))', 'g') m
    loop
        -- A statement that compares columns: api_key=k.id. In a connection string within one it says password.
        continue when lower(found.name) <> 'password' and found.bare ~ '^:?[A-Za-z_][A-Za-z0-9_.]*\)*$'
            and value ~* '\y(select\y.*\yfrom|update\y.*\yset|delete\s+from|where|join)\y';
        if rowcall_internal.names_secret(found.name) and not rowcall_internal.is_reference(found.value) then
            return format('a secret, by the name %s', left(found.name, 63));
        end if;
    end loop;
    return null;
end
$$;
