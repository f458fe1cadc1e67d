-- Whether the server lets anything be changed; fails if not.
begin; select pg_current_xact_id(); rollback
