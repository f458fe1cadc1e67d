-- Removes concurrency keys of tasks that have none any more, from jobs that the edit of their task missed.
select rowcall_internal.forget_concurrency_keys()
