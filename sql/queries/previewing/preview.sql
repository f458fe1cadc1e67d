-- What each task would do with a row, as rowcall.preview() says it.
select p.task, to_jsonb(p) as said from rowcall.preview($1::oid::regclass, $2::text) p
