-- Settings for the transaction of a batch. Another session's lock must not hold up the jobs of all others for long. A
-- dispatcher that is frozen or cut off within it must not hold up anyone: the server ends its session, and with it its
-- locks on rows of users, jobs and claims.
-- Statements are planned once per connection, perhaps while the queue is empty and reading the whole table looks cheap;
-- that plan would be kept when the queue is long. Without sequential scans, a scan that has no index looks so costly
-- that Postgres would compile it, which takes longer than all else: hence no JIT.
select set_config('lock_timeout', '500ms', true), set_config('idle_in_transaction_session_timeout', '10s', true),
    set_config('statement_timeout', '60s', true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
