-- The files of functions as they were last applied.
select name, checksum, interface from rowcall_internal.functions
