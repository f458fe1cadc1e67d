-- A notification to ourselves; none where the server's queue of them is so full that the commit might fail with it (functions/queue/notify.sql).
select pg_notify($1, '') where pg_notification_queue_usage() <= 0.5
