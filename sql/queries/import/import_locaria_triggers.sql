-- The triggers of a table ($1) that dispatch as Locaria does, recognised by what their function calls or by their name.
-- The search path decides how much of a definition is qualified.
select quote_ident(t.tgname) as name, pg_catalog.pg_get_triggerdef(t.oid) as definition,
    t.tgenabled in ('O', 'A') as fires, p.oid::regprocedure::text as function
from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
where t.tgrelid = to_regclass($1) and not t.tgisinternal
  and (t.tgname in ('files_trigger', 'messages_trigger') or p.prosrc ~ 'aws_lambda_interface|aws_lambda\.invoke')
order by t.tgname
