-- The identity of this installation, and the secret from which tokens are derived.
select id::text, secret from rowcall_internal.instance
