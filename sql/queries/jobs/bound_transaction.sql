-- For this transaction of a batch. Nobody's lock may hold up the jobs of all others for long. And statements are
-- planned once per connection, perhaps while the queue is empty, when reading the whole table looks cheap; the
-- plan would be kept when it is long. What has no index is then thought to be immensely costly, and worth
-- compiling, which takes longer than all else: hence no JIT.
select set_config('lock_timeout', '500ms', true), set_config('enable_seqscan', 'off', true),
    set_config('jit', 'off', true)
