-- Each difference from the documented rights, with the statement that mends it.
select problem, fix from rowcall.grants_wrong()
