-- The server's session behind a connection, and how many seconds it has lasted. A session that is older than its connection,
-- or that two connections have, is a pooler's.
select pid, extract(epoch from clock_timestamp() - backend_start)::float8 as age
from pg_stat_get_activity(pg_backend_pid())
