-- The way back to nothing.
drop schema rowcall cascade;
drop schema if exists rowcall_internal cascade;
