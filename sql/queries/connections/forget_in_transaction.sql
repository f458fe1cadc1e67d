-- Resets the session as forget_session.sql does, before the transaction ends: the session belongs to a pooler, and may be
-- another program's after the end. What triggers of users have deferred to the end is done before. That launches and ends are durable, whatever
-- the role's default, is a setting as well, and counts at the commit.
set constraints all immediate;
reset role;
reset all;
select pg_advisory_unlock_all(),
    case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', true) end
