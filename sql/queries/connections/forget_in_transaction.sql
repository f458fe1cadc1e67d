-- Resets the session as forget_session.sql does, before the transaction ends: the session belongs to a pooler, and may be
-- another program's after the end. What triggers of users have deferred to the end is done before.
set constraints all immediate;
reset role;
reset all;
select pg_advisory_unlock_all()
