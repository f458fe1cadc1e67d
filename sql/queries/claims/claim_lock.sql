-- Claims of tasks with a cap go one after the other, so that the count below cannot be overtaken.
lock table rowcall_internal.claim_lock in exclusive mode
