-- Jobs that start now: where their row was found is in their attempts from here on.
update rowcall.jobs set left_in = null where id = any ($1) and left_in is not null
