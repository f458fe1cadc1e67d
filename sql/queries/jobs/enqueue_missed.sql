-- Makes the jobs for rows that a trigger noted as missed. Returns null if there are none.
select case when exists (select from rowcall_internal.missed_rows) then rowcall_internal.enqueue_missed() end
