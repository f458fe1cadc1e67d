-- Removes Rowcall: both schemas, with all that is in them.
drop schema rowcall cascade;
drop schema if exists rowcall_internal cascade;
