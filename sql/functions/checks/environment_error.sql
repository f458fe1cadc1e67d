-- The problem with the names of environment variables for a runner, or null: for the process runner, names by which an
-- allowed program could be made to run another one. src/runners/process/rails.rs has the same names.
create or replace function rowcall_internal.environment_error(runner text, environment jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select format('environment.%s could make an allowed program run another; set it for the daemon, and name it in '
        'runners.process.pass_environment', name)
    from jsonb_object_keys(case when jsonb_typeof(environment) = 'object' then environment else '{}' end) name
    where runner = 'process' and (name ^@ 'LD_' or name in (
        'DOTNET_STARTUP_HOOKS', 'HOME', 'JDK_JAVA_OPTIONS', 'OPENSSL_CONF', 'PERL5DB', 'PS4', 'PYTHONHOME', 'SHELLOPTS',
        '_JAVA_OPTIONS', 'BASH_ENV', 'ENV', 'GCONV_PATH', 'IFS', 'JAVA_TOOL_OPTIONS', 'NODE_OPTIONS', 'PATH', 'PERL5LIB',
        'PERL5OPT', 'PYTHONPATH', 'PYTHONSTARTUP', 'RUBYLIB', 'RUBYOPT'))
    order by name limit 1
$$;
