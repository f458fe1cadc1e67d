-- Whether this database has Rowcall, and whether this login may call the functions of tasks.
select quote_ident(session_user) as login, to_regnamespace('rowcall') is not null as is_there,
    coalesce(has_function_privilege(to_regprocedure('rowcall.task_start(text,text,text)'), 'execute')
        and has_schema_privilege(to_regnamespace('rowcall'), 'usage'), false) as may_report
