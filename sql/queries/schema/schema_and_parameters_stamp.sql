-- Before each claim: is the schema still one we understand, and are the parameters still those we have read? By the view of
-- the migrations, because "rowcall import" asks this, too, with the rights of an admin.
select
    (select max(version) from rowcall.migrations) as version,
    (select max(oldest_daemon) from rowcall.migrations) as oldest_daemon,
    md5(concat(
        (select string_agg(xmin::text, ',' order by name) from rowcall.parameters), ';',
        (select string_agg(xmin::text, ',' order by runner) from rowcall.runner_defaults))) as parameters_stamp
