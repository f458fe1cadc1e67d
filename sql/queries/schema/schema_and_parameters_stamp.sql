-- Before each claim: is the schema still one we understand, and are the parameters still those we have read?
select
    (select max(version) from rowcall_internal.migrations) as version,
    (select max(oldest_daemon) from rowcall_internal.migrations) as oldest_daemon,
    rowcall_internal.parameters_stamp() as parameters_stamp
