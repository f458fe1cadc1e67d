-- What the database says after a run; every figure of the second half must be 0. It is for a database that was kept (KEEP_DB=1), once no job is left.
select
    (select count(*) from rowcall.files) as rows,
    (select count(*) from rowcall.files where status = 'PROCESSED') as processed,
    (select count(*) from rowcall.attempts) as attempts,
    (select count(*) from rowcall.attempts where outcome <> 'SUCCEEDED') as attempts_lost,
    (select count(*) from rowcall.jobs) as jobs_left,
    (select count(*) from rowcall.files f where not exists (
        select from rowcall.history h
        where h.source_table = 'rowcall.files'::regclass and h.row_key = jsonb_build_object('id', f.id) and h.outcome = 'SUCCEEDED'))
        as rows_without_success,
    (select count(*) from (
        select from rowcall.attempts where outcome = 'SUCCEEDED' group by source_table, row_key having count(*) > 1) a)
        as rows_that_succeeded_twice,
    (select count(*) from rowcall.history where outcome <> 'SUCCEEDED') as jobs_failed;
