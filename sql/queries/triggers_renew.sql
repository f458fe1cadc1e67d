-- The trigger functions of every watched table, written anew by today's rowcall.install_triggers().
select rowcall.install_triggers(relation) from rowcall.source_tables
where relation in (select oid from pg_class)
