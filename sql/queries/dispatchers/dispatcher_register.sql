-- A new dispatcher. It may know runners or allow targets that nobody did before it, so blocked jobs get
-- another try; what still cannot run is blocked again, with the reason of today.
with registered as (
    insert into rowcall_internal.dispatchers (host, pid, version, runners) values ($1, $2, $3, $4) returning id
)
select id, rowcall.release_blocked() as released from registered
