-- What the jobs of a task with this concurrency key wait for beyond what all of them wait for.
select reason from rowcall.held_back($1::text, $2::text) where waits
except
select reason from rowcall.held_back($1::text) where waits
