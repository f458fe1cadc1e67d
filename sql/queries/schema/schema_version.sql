-- The version of the schema, and the oldest that a daemon may be made for. By the view of the migrations, because "rowcall
-- import" asks this, too, with the rights of an admin.
select max(version) as version, max(oldest_daemon) as oldest_daemon from rowcall.migrations
