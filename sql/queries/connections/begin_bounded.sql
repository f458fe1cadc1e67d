-- Begins the transaction of a batch, with settings of its own. Another session's lock must not hold up the jobs of all others
-- for long. A dispatcher that is frozen or cut off within it must not hold up anyone: the server ends its session, and with it
-- its locks on rows of users, jobs and claims. Each statement sees what was committed before it, whatever the default of the database:
-- the last one, which looks at the parameters, depends on it.
-- Statements are planned once per connection, perhaps while the queue is empty and reading the whole table looks cheap;
-- that plan would be kept when the queue is long. Without sequential scans, a scan that has no index looks so costly
-- that Postgres would compile it, which takes longer than all else: hence no JIT. To plan a claim anew each time would take
-- five times as long as the claim.
start transaction isolation level read committed;
set local lock_timeout = '500ms';
set local idle_in_transaction_session_timeout = '10s';
set local statement_timeout = '60s';
set local enable_seqscan = off;
set local jit = off;
set local plan_cache_mode = force_generic_plan
