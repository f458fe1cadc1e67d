-- The first conflict between settings of a runner, each of which is right by itself, with a hint; nulls if there is
-- none. The caller has taken out settings that are null, and settings that are wrong by themselves are ignored here.
create or replace function rowcall_internal.settings_conflict(runner text, settings jsonb, out error text, out hint text)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    strategy jsonb := settings -> 'capacity_provider_strategy';
begin
    if runner = 'ecs' and jsonb_typeof(strategy) = 'array' and strategy <> '[]' then
        if settings ? 'launch_type' then
            error := 'settings.launch_type and settings.capacity_provider_strategy exclude each other';
            hint := 'Set one of them to null; that also takes back what comes from rowcall.runner_defaults.';
        elsif jsonb_array_length(strategy) > 1 and not strategy @? '$[*].weight ? (@ > 0)' then
            error := 'settings.capacity_provider_strategy: at least one of several weights must be greater than 0';
            hint := 'A provider without a weight gets no tasks beyond its base.';
        elsif jsonb_array_length(jsonb_path_query_array(strategy, '$[*].base ? (@ > 0)')) > 1 then
            error := 'settings.capacity_provider_strategy: only one item may have a base';
            hint := 'Set the base of the others to 0.';
        end if;
    elsif runner = 'lambda' then
        if settings -> 'fire_and_forget' = 'true' and settings ? 'mode' and settings ->> 'mode' <> 'Event' then
            error := 'settings.fire_and_forget needs settings.mode "Event"';
            hint := 'Set settings.mode to "Event": in mode RequestResponse the function''s answer ends the job.';
        end if;
    end if;
end
$$;
