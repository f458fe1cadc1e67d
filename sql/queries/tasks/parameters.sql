-- Every task, with its settings merged over the defaults of its runner, in the order in which tasks are claimed.
select p.name, p.version, p.enabled, p.source_table::oid as source_table, p.on_status, p.runner, p.target,
    coalesce(d.settings, '{}') || p.settings as settings,
    p.command, p.environment, p."values",
    p.max_attempts,
    extract(epoch from p.backoff)::float8 as backoff,
    extract(epoch from p.backoff_max)::float8 as backoff_max,
    extract(epoch from p.timeout)::float8 as timeout,
    extract(epoch from p.heartbeat_timeout)::float8 as heartbeat_timeout,
    extract(epoch from p.launch_timeout)::float8 as launch_timeout,
    p.max_running, p.priority, p.concurrency_key, p.max_running_per_key, p.retry_on,
    p.status_running, p.status_succeeded, p.status_failed, p.status_runner_failed, p.result_column, p.completion,
    p.status_running_by, p.on_moved, p.notify_channel,
    rowcall_internal.channel(p.on_status) as channel, rowcall.status_loop(p.name) as status_loop
from rowcall.parameters p
left join rowcall.runner_defaults d on d.runner = p.runner
order by p.priority desc, p.name
