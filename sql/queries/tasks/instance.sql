-- What makes this installation itself; the secret derives tokens.
select id::text, secret from rowcall_internal.instance
