-- The other unsettled jobs that the same status of a row asked for, for each of these jobs; locked, without waiting. A
-- job of which not all could be locked must wait: its end and theirs are one decision. Who does not run and has no
-- parameters any more will not run: nobody waits for that.
with mine as (
    select id, source_table, short_key, on_status from rowcall.jobs where id = any ($1)
), siblings as (
    select m.id as mine, o.id
    from mine m
    join rowcall.jobs o on o.source_table = m.source_table and o.short_key = m.short_key and o.on_status = m.on_status
        and o.id <> m.id
    where o.state = 'running' or exists (select from rowcall.parameters p where p.name = o.task)
), held as (
    select j.id from rowcall.jobs j where j.id in (select id from siblings) for update skip locked
)
select s.mine as job_id, array_agg(s.id) as siblings, count(h.id) = count(*) as held
from siblings s left join held h using (id)
group by s.mine
