-- The functions of every watched table, written anew by today's rowcall_internal.install_triggers() and install_row_functions().
select rowcall_internal.install_triggers(relation), rowcall_internal.install_row_functions(relation)
from rowcall_internal.source_tables where relation in (select oid from pg_class)
