-- The same before a transaction ends, for a session that belongs to a pooler: after the end it may be another program's. What
-- triggers of users would do at the end is done before.
set constraints all immediate;
reset role;
reset all;
select pg_advisory_unlock_all()
