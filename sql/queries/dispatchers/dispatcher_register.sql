-- Registers a new dispatcher, and releases blocked jobs: it may offer runners or allow targets that no other did
-- before. A job that still cannot run is blocked again, with the new reason.
with registered as (
    insert into rowcall_internal.dispatchers (host, pid, version, runners, places, dead_after, lost_after)
    values ($1, $2, $3, $4, $5, make_interval(secs => $6), make_interval(secs => $7)) returning id
)
select id, rowcall.release_blocked() as released from registered
