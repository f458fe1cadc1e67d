-- Claims of tasks with a cap run one after the other, so that no job is started between a count and its claim.
lock table rowcall_internal.claim_lock in exclusive mode
