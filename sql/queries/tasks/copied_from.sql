-- Where the original of this database is, if it is a copy.
select rowcall_internal.copied_from($1)
