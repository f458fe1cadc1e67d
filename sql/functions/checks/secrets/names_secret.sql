-- Whether something of this name usually holds a secret: DB_PASSWORD, apiKey, client-secret. A name whose last word
-- says that it only points to a secret or describes one does not: PASSWORD_FILE, SECRET_ARN, TOKEN_LIMIT.
create or replace function rowcall_internal.names_secret(name text) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        words ~ '(PASSWORD|PASSWD|PASSPHRASE|SECRET)S? | (PWD|TOKEN|CREDENTIALS?|APIKEY|(API|PRIVATE|ACCESS|SECRET) KEY) '
        and words !~ '^ (NO|ASK|PROMPT|SKIP|HIDE|MASK|REQUIRE|WITHOUT) '
        -- Those are Rowcall's own, which another check says.
        and names_secret.name !~ '^ROWCALL_'
        and words !~ (' (ARN|FILE|FILES|FILENAME|PATH|DIR|DIRECTORY|ID|IDS|NAME|URL|URI|ENDPOINT|HOST|PORT|REGION|TYPE|KIND|TTL|'
            'EXPIRY|EXPIRES|TIMEOUT|LENGTH|SIZE|LIMIT|COUNT|MIN|MAX|VERSION|FORMAT|POLICY|ENABLED|REQUIRED|HEADER|FIELD|COLUMN|'
            'TABLE|BUCKET|PREFIX|REF|STDIN|ENV|VAR|SOURCE|STORE|MANAGER|PROVIDER|DAYS|HOURS|MINUTES|SECONDS|EMAIL|AUTHENTICATION|RESET|'
            'TEMPLATE|SUBJECT|ALGORITHM) $')
        -- Wherever they stand; and tokens that are words of a language or pages of a list.
        and words !~ ' (SEPARATOR|DELIMITER|AUDIENCE|SCOPES?|ISSUER|ROTATION) '
        and words !~ ' (NEXT|PREVIOUS|CONTINUATION|UNK|PAD|BOS|EOS|SEP|CLS|MASK|STOP|END) TOKEN $',
        false)
    from (select ' ' || btrim(regexp_replace(
        upper(regexp_replace(names_secret.name, '([a-z0-9])([A-Z])', '\1_\2', 'g')), '[^A-Z0-9]+', ' ', 'g')) || ' ') w(words)
$$;
