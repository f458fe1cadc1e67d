-- Grants the documented rights. Until then PUBLIC may execute new functions, and no role but the owner may use new
-- tables.
select rowcall_internal.apply_grants()
