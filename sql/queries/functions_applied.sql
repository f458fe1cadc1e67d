-- The functions as they were last applied.
select name, checksum from rowcall.functions
