-- After a migration back: the dropped tables took triggers with them that only the files of functions make, so every
-- file is applied again. The names stay, so that the next migration can drop the functions that it does not know.
update rowcall_internal.functions set checksum = '', interface = ''
