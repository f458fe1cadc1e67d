-- The way back to nothing.
drop schema rowcall cascade
