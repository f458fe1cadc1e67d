-- Prepares a session that is ours alone. Statements that look at all open attempts look so costly to Postgres, where there are many,
-- that it would compile them, which takes a second of a processor for what takes 30 ms. The limits are ours, whatever the role or the
-- database has: a statement ends before its client gives it up, and one that only waits lets the others go on. A role that is serializable
-- by default would have its statements fail.
set jit = off;
set statement_timeout = '60s';
set lock_timeout = '10s';
set idle_in_transaction_session_timeout = '60s';
set default_transaction_isolation = 'read committed'
