-- The rights of each role in the two schemas. They are granted (rowcall_internal.apply_grants), checked
-- (rowcall.grants_wrong) and documented (docs/roles.md) from this list. The owner needs none; Rowcall's other roles
-- have only these.
create or replace function rowcall_internal.grants() returns table (role text, privileges text, kind text, objects text[], why text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    values
    ('rowcall_task', 'USAGE', 'schema', '{rowcall}'::text[], 'to name the functions'),
    ('rowcall_task', 'EXECUTE', 'function', '{task_start,task_progress,task_succeed,task_fail,task_snooze}',
        'speak for the one attempt whose token they are given, and for nothing else'),

    ('rowcall_writer', 'USAGE', 'schema', '{rowcall,rowcall_internal}', 'to name what is below'),
    ('rowcall_writer', 'SELECT', 'table', '{source_tables,parameters}', 'which tables are watched, and which rows ask for a task'),
    ('rowcall_writer', 'SELECT', 'view', '{owners,owners_before}', 'which task comes before another'),
    ('rowcall_writer', 'SELECT, UPDATE', 'table', '{files}', 'read and write rows; on other watched tables it has the same, by watch()'),
    ('rowcall_writer', 'EXECUTE', 'function',
        '{assert_writer,source_of,source_drift,table_key,key_parts,key_sql,has_own_type_sql,key_match_sql,key_type_allowed,column_types,named_key_problem,asks_sql,comes_first,outcomes,merge_results,announce,notify,notify_queue_is_full,shorter_timeout,path_of_users,writing_proof,read_rows_sql,write_parts,same_row_sql,write_rows_sql}',
        'to read and write them as they are'),
    ('rowcall_writer', 'EXECUTE', 'function', '{read_rows_N,mark_rows_N,mark_all_N,write_rows_N,write_results_N}', 'the same, written out for each watched table'),

    ('rowcall_dispatcher', 'USAGE', 'schema', '{rowcall,rowcall_internal}', 'to name what is below'),
    ('rowcall_dispatcher', 'SELECT', 'table', '{parameters,runner_defaults,source_tables,missed_rows,control,migrations}',
        'what to run, and by which schema; it edits none of them'),
    ('rowcall_dispatcher', 'SELECT', 'view', '{jobs,attempts,history,dispatchers,parameters_history,missed_rows,source_tables,control,migrations,running,blocked,failed,durations}',
        'what people read'),
    ('rowcall_dispatcher', 'SELECT', 'table', '{instance}', 'the secret from which tokens are derived'),
    ('rowcall_dispatcher', 'SELECT, INSERT, UPDATE, DELETE', 'table', '{jobs,dispatchers}', 'its work'),
    ('rowcall_dispatcher', 'SELECT, INSERT, UPDATE, DELETE', 'table', '{attempts}', 'the tries that are not over'),
    ('rowcall_dispatcher', 'SELECT, INSERT, UPDATE', 'table', '{ended_attempts}', 'those that are; old ones are removed by keep_history'),
    ('rowcall_dispatcher', 'SELECT, INSERT', 'table', '{terms}', 'what their requests have in common'),
    ('rowcall_dispatcher', 'USAGE', 'sequence', '{attempts_id_seq}', 'an attempt has its number before it is written'),
    ('rowcall_dispatcher', 'INSERT', 'table', '{history}', 'settled jobs'),
    ('rowcall_dispatcher', 'SELECT, UPDATE', 'view', '{wake_lock,claim_lock}', 'views that are only locked, which takes UPDATE'),
    ('rowcall_dispatcher', 'SELECT', 'view', '{running_dispatchers}', 'which others live'),
    ('rowcall_dispatcher', 'EXECUTE', 'function', '{source_rows,jobs_without_row,write_back}',
        'read, hold and write rows of watched tables, with the writer''s rights on these; it needs none itself'),
    ('rowcall_dispatcher', 'EXECUTE', 'function', '{mark_all,keep_terms,start_jobs,parameters_stamp,assert_parameters,end_attempts,lose_attempts,finish_jobs}', 'start jobs, end attempts and jobs'),
    ('rowcall_dispatcher', 'EXECUTE', 'function', '{copied_from,channel,claimable_by_key,forget_concurrency_keys,release_blocked,enqueue_missed,keep_history}', 'its upkeep'),
    ('rowcall_dispatcher', 'EXECUTE', 'function', '{preview}', 'what "rowcall preview" asks'),
    ('rowcall_dispatcher', 'EXECUTE', 'function', '{status_loop}', 'whether a task would run for ever'),
    ('rowcall_dispatcher', 'EXECUTE', 'function', '{grants,grants_wrong}', 'what "rowcall check --grants" asks'),

    ('rowcall_viewer', 'USAGE', 'schema', '{rowcall}', 'to name what is below'),
    ('rowcall_viewer', 'SELECT', 'table', '{parameters,runner_defaults,files}', 'see what runs, and for which rows'),
    ('rowcall_viewer', 'SELECT', 'view', '{parameters_history,source_tables,jobs,attempts,history,dispatchers,missed_rows,migrations,control,running,blocked,failed,durations}',
        'see what happened; no view shows the instance''s secret or the hash of a token'),
    ('rowcall_viewer', 'EXECUTE', 'function', '{settings_keys,parameters_columns,status_loop,grants_wrong}',
        'look up keys, columns, loops of statuses and wrong rights'),
    ('rowcall_viewer', 'EXECUTE', 'function', '{row_key,key_text,short_key,render,preview,explain,jobs_of}',
        'ask what happens to a row; of the row itself they show only what a task is given'),

    -- A member of rowcall_viewer, too.
    ('rowcall_operator', 'EXECUTE', 'function', '{cancel,rescan,release_blocked}', 'cancel jobs, make missed ones, release blocked ones'),
    ('rowcall_operator', 'EXECUTE', 'function', '{run,retry,retry_failed,pause,resume}', 'start jobs and repeat them; pause and resume all'),

    -- A member of rowcall_operator, too.
    ('rowcall_admin', 'INSERT, UPDATE, DELETE', 'table', '{parameters,runner_defaults}', 'decide what runs'),
    ('rowcall_admin', 'EXECUTE', 'function',
        '{settings_problems}', 'check a row before it is written, as "rowcall import" does'),
    ('rowcall_admin', 'EXECUTE', 'function', '{watch,unwatch,register_source,forget_source,forget_dropped}',
        'choose source tables; to hand one over takes its owner''s rights besides'),
    ('rowcall_admin', 'EXECUTE', 'function', '{restore_parameters}', 'take back an edit')
$$;
