-- Deletes dispatchers that have been gone for a day and that no open attempt names.
delete from rowcall_internal.dispatchers d
where d.id in (select id from rowcall_internal.dispatchers for update skip locked)
  and coalesce(d.stopped_at, d.seen_at) < now() - interval '1 day'
  and not exists (select from rowcall_internal.attempts a where a.dispatcher_id = d.id)
