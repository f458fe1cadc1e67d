-- Ends what a session can keep of what triggers of users have set in it: its role, settings, and locks. Its temporary tables
-- come last in every path of ours. A session in which they have prepared a statement is given up, because that may have the
-- name of one of ours. Then as own_session.sql has it.
reset role; reset all;
set jit = off;
set statement_timeout = '60s';
set lock_timeout = '10s';
set idle_in_transaction_session_timeout = '60s';
set default_transaction_isolation = 'read committed';
select pg_advisory_unlock_all();
select not exists (select from pg_prepared_statements where from_sql) as is_clean
