-- Makes the jobs for rows that a trigger noted as missed.
select case when exists (select from rowcall_internal.missed_rows) then rowcall_internal.enqueue_missed() else 0 end
