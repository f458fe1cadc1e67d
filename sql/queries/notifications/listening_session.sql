-- Prepares the session that listens: it is silent for as long as nothing comes, whatever the role's limit for that (PostgreSQL 14).
do $$
begin
    if current_setting('idle_session_timeout', true) is not null then
        perform set_config('idle_session_timeout', '0', false);
    end if;
end
$$
