-- An error, unless the parameters are those that were read under this stamp.
select rowcall_internal.assert_parameters($1)
