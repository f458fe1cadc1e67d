-- How many jobs of each of these tasks run now, everywhere.
select task, count(*) as running from rowcall.jobs where state = 'running' and task = any ($1) group by task
