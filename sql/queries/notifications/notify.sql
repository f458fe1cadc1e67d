-- A notification to ourselves.
select pg_notify($1, '')
