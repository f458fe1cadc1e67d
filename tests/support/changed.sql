-- Tells waiting tests that something changed.
create function public.test_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('test_changed', '');
    return null;
end
$$;
create trigger test_changed after insert or update or delete on rowcall_internal.jobs
    for each statement execute function public.test_changed();
create trigger test_changed after insert or update or delete on rowcall_internal.attempts
    for each statement execute function public.test_changed();
create trigger test_changed after insert or update on rowcall_internal.ended_attempts
    for each statement execute function public.test_changed();
create trigger test_changed after insert on rowcall_internal.history
    for each statement execute function public.test_changed();
create trigger test_changed after insert or update or delete on rowcall.files
    for each statement execute function public.test_changed();
