-- Launch keys of attempts that are still open, of one runner.
select launch_key from rowcall.attempts where ended is null and runner = $1
