-- Releases blocked jobs, because this dispatcher is back: others may have thought that none offers their runner.
select rowcall.release_blocked()
