-- The columns of rowcall.parameters in the order of the manual. The check of an edit, the manual and the tests all read
-- this list. rowcall_internal.setting_fits() explains "form", "minimum", "maximum" and "pattern"; the words of a "word"
-- are those of the domain with the column's name. "allowed" ends the sentence "parameters.column must be …". "nullable"
-- and "default" come from the catalogue, so that they cannot be wrong here. Rowcall itself writes a column without a
-- form.
create or replace function rowcall.parameters_columns()
returns table ("group" text, "column" text, form text, minimum bigint, maximum bigint, pattern text,
               allowed text, nullable boolean, "default" text, help text)
language sql stable security definer
set search_path = pg_catalog, pg_temp set intervalstyle = 'postgres'
as $$
select k.part, k.name, k.form, k.minimum, k.maximum,
    coalesce('^(' || array_to_string(w.words, '|') || ')$', k.pattern), coalesce(rowcall_internal.either(w.words), k.allowed),
    not a.attnotnull,
    regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^''(.*)''::[a-z0-9_. ]+(\[\])?$', '\1'), k.help
from (select row_number() over () as position, v.* from (values
('name', 'name', 'text', null::bigint, null::bigint, '^[A-Za-z_][A-Za-z0-9_-]{0,62}$',
    'letters, digits, _ and -, up to 63 of them, with a letter or _ first', 'the task''s name'),
('name', 'description', 'text', null, null, null, 'a string', 'for people'),
('name', 'enabled', 'boolean', null, null, null, 'true or false', 'false: no new claims; jobs are still made, and wait'),
('when', 'source_table', 'text', 1, null, null, 'a watched table', 'SELECT rowcall.watch(''a.table'') first'),
('when', 'on_status', 'text', 1, null, null, 'a string that is not empty',
    'the status that asks for this task, when a row is inserted with it or changes to it'),
('when', 'condition', 'text', null, null, null, 'a jsonpath over the row',
    'a predicate ($.attributes.size > 10) must be true, a filter ($ ? (@.attributes.ext == "csv")) must find something; an error or null means no'),
('when', 'route_order', 'integer', -2147483648, 2147483647, null, 'an integer',
    'of several tasks with status words and the same on_status, one owns a row: the first by route_order, then by name, whose condition holds. The others get no job for it'),
('where', 'runner', 'word', null, null, null, null, 'where an attempt runs'),
('where', 'target', 'text', 1, null, null, 'a string that is not empty',
    'what to run: for process the full path of a program, for docker an image, for ecs a task definition (family, family:revision or ARN), for lambda a function (name or ARN, each with a qualifier or without)'),
('where', 'settings', 'object', null, 100, null, 'an object of at most 100 levels',
    'for the runner, merged over rowcall.runner_defaults; process takes none'),
('what with', 'command', 'texts', null, null, null, 'a flat array of strings',
    'the arguments, without the program itself; each a template'),
('what with', 'environment', 'object', null, null, null, 'an object such as {"NAME": "string or {{ template }}"}',
    'names that Rowcall sets itself (ROWCALL_TOKEN, ROWCALL_JOB, …) are refused; a process gets only names that `runners.process.environment` lists, a container or function names that begin with AWS_ (on ECS also ECS_) only where `runners.<runner>.environment` lists them'),
('what with', 'values', 'object', null, 100, null, 'an object of at most 100 levels',
    'free values for templates, and for the task (task_start returns them)'),
('how hard', 'max_attempts', 'integer', 1, 100, null, 'an integer from 1 to 100', 'how many attempts may fail by the task''s fault'),
('how hard', 'backoff', 'interval', 0, 31104000, null, 'an interval, more than 0 and at most a year of 360 days',
    'the wait before the first retry; it doubles up to backoff_max, less up to half by chance'),
('how hard', 'backoff_max', 'interval', 0, 31104000, null, 'an interval, more than 0 and at most a year of 360 days',
    'the longest wait before a retry; not less than backoff'),
('how hard', 'retry_on', 'words', null, null,
    '^!?(' || (select string_agg(o.outcome, '|') from rowcall_internal.outcomes() o where o.retryable) || '|exit:[0-9]{1,3}(-[0-9]{1,3})?)$',
    (select string_agg(o.outcome, ', ') from rowcall_internal.outcomes() o where o.retryable)
        || ', exit:N or exit:N-M, each with a ! before it or without',
    'which failures are retried: an outcome or exit code listed here, unless one with ! before it matches. TASK_FAILED is every failure by the task, exit:N only one with that exit code. Empty: none'),
('how hard', 'timeout', 'interval', 0, 31104000, null, 'an interval, more than 0 and at most a year of 360 days',
    'from the moment it runs to its end'),
('how hard', 'launch_timeout', 'interval', 0, 31104000, null, 'an interval, more than 0 and at most a year of 360 days',
    'from claim to the moment it runs'),
('how hard', 'heartbeat_timeout', 'interval', 0, 31104000, null, 'an interval, more than 0 and at most a year of 360 days',
    'between two heartbeats, for tasks that send them'),
('how hard', 'max_running', 'integer', 1, 2147483647, null, 'an integer, at least 1',
    'jobs of this task at the same time, over all dispatchers, exactly'),
('how hard', 'concurrency_key', 'text', null, null, '\{\{', 'a template with {{ … }} in it, such as {{ row.attributes.customer }}',
    'rows for which it renders the same share max_running_per_key. Without a template every row would have one key: that is what max_running is for'),
('how hard', 'max_running_per_key', 'integer', 1, 2147483647, null, 'an integer, at least 1',
    'jobs of this task at the same time with the same concurrency_key; only with one'),
('how hard', 'priority', 'integer', -100, 100, null, 'an integer from -100 to 100', 'higher is claimed first; that of a job rises by 1 for each dispatcher.priority_ageing that it waits'),
('write back', 'status_running', 'text', 1, null, null, 'a string that is not empty, and not on_status',
    'given to the row when its job is claimed; null leaves the status. A task without any status word is an observer'),
('write back', 'status_running_by', 'word', null, null, null, null,
    'who sets status_running. rowcall: the dispatcher, when it claims the job. task: the program, because it finds its rows by their status; Rowcall puts the row back to on_status before each attempt, and lets the program run on after it has set a final status'),
('write back', 'on_moved', 'word', null, null, null, null,
    'what becomes of the task when a user moves its row on, to DELETED say. finish: it runs to its end, of which the row does not hear. stop: it is stopped, and its job ends CANCELLED'),
('write back', 'status_succeeded', 'text', 1, null, null, 'a string that is not empty, and not on_status',
    'given to the row after success; null leaves the status'),
('write back', 'status_failed', 'text', 1, null, null, 'a string that is not empty, and not on_status',
    'given to the row after the last attempt; null leaves the status'),
('write back', 'status_runner_failed', 'text', 1, null, null, 'a string that is not empty, and not on_status',
    'given to the row in place of status_failed where its job ended as RUNNER_FAILED or LOST; null takes status_failed'),
('write back', 'result_column', 'text', 1, null, null, 'a jsonb column of the source table',
    'gets the result, or message and outcome of a failure; an observer writes its own under results, by its name. null: neither is written'),
('write back', 'completion', 'word', null, null, null, null,
    'exit: exit code 0 is success unless the task reported otherwise; report: only a report is'),
('write back', 'notify_channel', 'text', null, null, '^(?!rowcall_)[A-Za-z_][A-Za-z0-9_]{0,62}$',
    'letters, digits and _, up to 63 of them, beginning with no digit and not with rowcall_',
    'the channel on which each status that Rowcall writes is announced by NOTIFY, as JSON with task, table, key and status; so is a final status that the program has set itself. Channels that begin with rowcall_ are for dispatchers'),
('kept by Rowcall', 'version', null, null, null, null, 'left alone', 'counts the edits; as in rowcall.parameters_history'),
('kept by Rowcall', 'updated_at', null, null, null, null, 'left alone', 'when the row was last edited')
) v(part, name, form, minimum, maximum, pattern, allowed, help)) k
cross join lateral (select case when k.form = 'word' then rowcall_internal.words_of(k.name) end as words offset 0) w
left join pg_attribute a on a.attrelid = 'rowcall.parameters'::regclass and a.attname = k.name
left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
order by k.position
$$;
