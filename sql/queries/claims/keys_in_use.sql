-- For each of these concurrency keys ($2) of a task ($1): how many of its jobs run, and whether others wait, which come first. After
-- claim_lock.sql, so that none of them can start meanwhile.
select k.key,
    (select count(*) from rowcall_internal.jobs r where r.state = 'running' and r.task = $1 and r.concurrency_key = k.key) as running,
    -- With a limit each is one look at an index, whatever the plan: never a hash of all that wait.
    coalesce((select true from rowcall_internal.jobs p where p.state = 'pending' and p.task = $1 and p.concurrency_key = k.key limit 1),
        false) as others_wait
from unnest($2::text[]) as k(key)
