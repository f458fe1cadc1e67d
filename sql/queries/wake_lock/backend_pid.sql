-- The server's number of this session.
select pg_backend_pid()
