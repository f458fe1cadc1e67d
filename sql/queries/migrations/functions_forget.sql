-- After a way down: with the tables went triggers that only the functions' files make. The names stay, so that the next
-- migration can drop the functions that it does not know.
update rowcall_internal.functions set checksum = '', interface = ''
