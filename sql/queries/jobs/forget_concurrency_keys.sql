-- Keys of tasks that have none any more, of jobs that were held when their task lost it.
select rowcall_internal.forget_concurrency_keys()
