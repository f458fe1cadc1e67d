-- The open attempt of a token, which begins with its id, locked; or an error that tells the caller to stop.
create or replace function rowcall_internal.open_attempt(token text) returns rowcall_internal.attempts
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt rowcall_internal.attempts;
    stopped_for text;
begin
    select * into attempt from rowcall_internal.attempts a
    where a.id = substring(token from '^([0-9]{1,18})\.')::bigint and a.token_hash = sha256(convert_to(token, 'UTF8'))
    for update;
    if not found then
        raise exception 'rowcall: this token speaks for no open attempt'
            using errcode = 'RC001',
                  hint = 'The attempt has ended or was superseded. Stop, and change nothing.';
    end if;
    select j.cancel_requested into stopped_for
    from rowcall_internal.jobs j where j.id = attempt.job_id and j.attempt_id = attempt.id;
    stopped_for := coalesce(stopped_for, attempt.stop_requested);
    if stopped_for is not null then
        raise exception 'rowcall: this attempt is being stopped: %', stopped_for
            using errcode = 'RC002', hint = 'Stop, and change nothing.';
    end if;
    return attempt;
end
$$;
