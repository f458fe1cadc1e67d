-- For this transaction. Statements are planned once per connection, perhaps while the queue is empty, when reading
-- the whole table looks cheap; the plan would be kept when it is long.
select set_config('enable_seqscan', 'off', true)
