-- Rows of dispatchers long gone that no open attempt names.
delete from rowcall.dispatchers d
where coalesce(d.stopped, d.seen) < now() - interval '1 day'
  and not exists (select from rowcall.attempts a where a.dispatcher_id = d.id and a.ended is null)
