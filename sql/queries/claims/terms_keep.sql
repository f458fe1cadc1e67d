-- The ids of terms of requests, in their order; those that are new are written down.
select rowcall_internal.keep_terms($1)
