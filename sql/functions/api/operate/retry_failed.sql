-- Retries failed jobs: of one task or of all, with any message or one like "reason" (a LIKE pattern), settled from
-- "since" until "until". It takes only the latest job of each row and task, and only if no job of the two is open.
-- Cancelled jobs stay cancelled. Returns a line for each, as rowcall.retry() does; with dry_run only the lines.
create or replace function rowcall.retry_failed(task text default null, reason text default null,
    since timestamptz default now() - interval '1 day', until timestamptz default 'infinity', dry_run boolean default false)
returns table (job bigint, new_job bigint, problem text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    failed bigint[];
begin
    if task is not null then
        perform rowcall_internal.task_named(task);
    end if;
    failed := array(
        select h.job_id from rowcall_internal.history h
        where h.settled_at >= since and h.settled_at <= until
          and h.outcome in (select o.outcome from rowcall_internal.outcomes() o where o.retryable)
          and (retry_failed.task is null or h.task = retry_failed.task)
          and (retry_failed.reason is null or h.message like retry_failed.reason)
          and not exists (
              select from rowcall_internal.history newer
              where newer.source_table = h.source_table and newer.row_key = h.row_key and newer.task = h.task
                and (newer.settled_at, newer.job_id) > (h.settled_at, h.job_id))
          and not exists (
              select from rowcall_internal.jobs j
              where j.source_table = h.source_table and j.short_key = rowcall.short_key(h.row_key) and j.task = h.task)
        order by h.job_id);
    if dry_run then
        return query select f, null::bigint, null::text from unnest(failed) f;
    else
        return query select r.* from rowcall.retry(failed) r;
    end if;
end
$$;
