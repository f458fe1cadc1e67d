-- The trigger functions of every watched table, written anew by today's rowcall_internal.install_triggers().
select rowcall_internal.install_triggers(relation) from rowcall_internal.source_tables
where relation in (select oid from pg_class)
