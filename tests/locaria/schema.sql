-- What of Locaria matters here, rebuilt from a description of it: its tables, the trigger by which it dispatches (with its
-- faults, for the tests to show), and the function by which its containers write. In place of the extension that invokes
-- Lambda functions stands one that only writes down that it was called; like the real one it does so at once, whatever
-- becomes of the transaction: a sequence is not rolled back.
create schema aws_lambda;
create sequence aws_lambda.calls minvalue 0 start 0;
create table aws_lambda.asked (call bigint, function text, payload jsonb);
create function aws_lambda.invoke(function text, payload jsonb) returns jsonb language plpgsql as $$
begin
    insert into aws_lambda.asked values (nextval('aws_lambda.calls'), function, payload);
    if function = 'broken' then
        raise exception 'no answer from Lambda';
    end if;
    return '{"status_code": 202}';
end $$;

create schema locaria_core;
create table locaria_core.files (
    id bigserial primary key,
    status text default 'REGISTERED',
    attributes jsonb,
    created timestamp default now(),
    last_update timestamp default now()
);
create table locaria_core.parameters (
    id bigserial primary key,
    parameter_name text,
    usage text default 'SYSTEM',
    parameter jsonb,
    acl jsonb default '{"update": ["Admins"], "delete": ["Admins"], "view": ["Admins"]}',
    last_updated timestamp default now(),
    constraint parameter_name_unique unique (parameter_name, usage)
);
create table locaria_core.logs (
    id bigserial,
    log_type text,
    log_message jsonb,
    log_timestamp timestamp default now()
) partition by range (log_timestamp);
create table locaria_core.logs_all partition of locaria_core.logs default;

-- Takes one function's entry and has it invoked; an error is an answer, too.
create function locaria_core.aws_lambda_interface(asked jsonb) returns jsonb language plpgsql as $$
declare
    config jsonb;
begin
    select parameter -> (asked ->> 'function') into strict config from locaria_core.parameters
    where parameter_name = case when asked ? 'fargate' then 'fargate_config' else 'lambda_config' end;
    begin
        return aws_lambda.invoke(config ->> 'arn', coalesce(asked -> 'parameters', config, '{}'));
    exception when others then
        return jsonb_build_object('error', 'aws_lambda_interface error', 'sql_error', sqlerrm);
    end;
end $$;

create function locaria_core.files_trigger() returns trigger language plpgsql as $$
declare
    answer jsonb;
begin
    if new.status = 'REGISTERED' and old.status <> 'REGISTERED' or old.status is null then
        if (select parameter ? 'file_loader' from locaria_core.parameters where parameter_name = 'fargate_config') then
            answer := locaria_core.aws_lambda_interface('{"function": "file_loader", "fargate": "true"}');
            insert into locaria_core.logs (log_type, log_message) values ('fargate_triggered', answer);
        end if;
    end if;
    if new.status = 'DOWNLOAD_REQUESTED' and old.status <> 'DOWNLOAD_REQUESTED' or old.status is null then
        if (select parameter ? 'file_download' from locaria_core.parameters where parameter_name = 'fargate_config') then
            answer := locaria_core.aws_lambda_interface('{"function": "file_download", "fargate": "true"}');
            insert into locaria_core.logs (log_type, log_message) values ('fargate_triggered', answer);
        end if;
    end if;
    if new.status <> old.status or old.status is null then
        if exists (select from locaria_core.parameters where parameter_name = 'lambda_config') then
            perform locaria_core.aws_lambda_interface(jsonb_build_object('function', 'ws_broadcast', 'parameters',
                jsonb_build_object('queue', 'fileStatus', 'status', new.status)));
        end if;
    end if;
    return new;
exception when others then
    insert into locaria_core.logs (log_type, log_message) values ('error', to_jsonb(sqlerrm));
end $$;
create trigger files_trigger after insert or update on locaria_core.files
    for each row when (pg_trigger_depth() = 0) execute procedure locaria_core.files_trigger();

-- What a container calls: it knows a row by its id alone.
create function locaria_core.update_file(file bigint, new_status text, more jsonb) returns void language sql as $$
    update locaria_core.files
    set attributes = attributes
            || jsonb_build_object('log_messages', coalesce(attributes -> 'log_messages', '[]') || jsonb_build_array(more))
            || more,
        status = coalesce(new_status, status),
        last_update = now()
    where id = file
$$;

insert into locaria_core.parameters (parameter_name, parameter) values
('fargate_config', '{
    "file_loader": {
        "task": "arn:aws:ecs:eu-west-1:123456789012:task-definition/file-loader:1",
        "vpcPrivateSubnetA": "subnet-0a", "vpcPrivateSubnetB": "subnet-0b", "ServerlessSecurityGroup": "sg-01",
        "ecrRepositoryUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/locaria", "ecsName": "jobs",
        "arn": "arn:aws:lambda:eu-west-1:123456789012:function:ecsRunner:1", "region": "eu-west-1"},
    "file_download": {
        "task": "arn:aws:ecs:eu-west-1:123456789012:task-definition/file-download:1",
        "vpcPrivateSubnetA": "subnet-0a", "vpcPrivateSubnetB": "subnet-0b", "ServerlessSecurityGroup": "sg-01",
        "ecrRepositoryUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/locaria", "ecsName": "jobs",
        "arn": "arn:aws:lambda:eu-west-1:123456789012:function:ecsRunner:1", "region": "eu-west-1"}}'),
('lambda_config', '{"ws_broadcast": {"arn": "arn:aws:lambda:eu-west-1:123456789012:function:eventWS", "region": "eu-west-1"}}'),
('file_upload', '{"bucket": "uploads"}');

-- Tells waiting tests that something changed.
create trigger test_changed after insert or update or delete on locaria_core.files
    for each statement execute function public.test_changed();
