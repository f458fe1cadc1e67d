-- The problem with the form of a target for its runner, or null.
create or replace function rowcall_internal.target_error(runner text, target text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        -- As in src/runners/process/rails.rs; and a path that is a template would be a program that the row chooses.
        when runner = 'process' and target <> '' and (target !~ '^/' or target ~ '\{\{')
            then to_json(target) || ' must be the full path of a program'
        when runner = 'ecs' and target !~ '^([A-Za-z0-9_-]{1,255}(:[0-9]{1,10})?|arn:.*:task-definition/.*)$'
            then to_json(target) || ' must be a task definition: family, family:revision or ARN'
        when runner = 'lambda'
            and target !~ '^(arn:[^:]+:lambda:[A-Za-z0-9_-]+:[^:]+:function:|[^:]+:function:)?[A-Za-z0-9_-]+(:\$?[A-Za-z0-9_-]{1,128})?$'
            then to_json(target) || ' is not a function: the form is name, name:qualifier, or an ARN of either'
        -- As in src/runners/docker/image_name.rs.
        when runner = 'docker' and target <> ''
            and target !~ '^([A-Za-z0-9.-]+(:[0-9]{1,5})?/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$'
            then to_json(target) || ' must be the name of an image: name, name:tag, name@sha256:…, with a registry before it or not'
    end
$$;
