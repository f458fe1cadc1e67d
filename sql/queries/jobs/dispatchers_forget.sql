-- Rows of dispatchers long gone that no open attempt names.
delete from rowcall_internal.dispatchers d
where coalesce(d.stopped, d.seen) < now() - interval '1 day'
  and not exists (select from rowcall_internal.attempts a where a.dispatcher_id = d.id and a.ended is null)
