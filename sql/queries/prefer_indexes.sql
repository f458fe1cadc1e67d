-- For this transaction. Statements are planned once per connection, perhaps while the queue is empty, when reading
-- the whole table looks cheap; the plan would be kept when it is long. What has no index is then thought to be
-- immensely costly, and worth compiling, which takes longer than all else: hence no JIT.
select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
