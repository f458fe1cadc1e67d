-- Whether this login may call the functions of tasks.
select session_user::text as login, coalesce(has_function_privilege(to_regprocedure('rowcall.task_start(text,text,text)'), 'execute')
    and has_schema_privilege('rowcall', 'usage'), false) as may_report
