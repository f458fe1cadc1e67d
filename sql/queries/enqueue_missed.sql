-- Jobs for rows that a trigger could not serve.
select case when exists (select from rowcall.missed_rows) then rowcall.enqueue_missed() else 0 end
