//! What cannot be imported is named, and then nothing is.

use super::Locaria;

/// Runs an import that must be refused, with these words.
async fn refused(locaria: &Locaria, options: &[&str], words: &str) {
    let mut all = vec!["--apply", "--replace-trigger"];
    all.extend(options);
    let said = locaria.import(&all).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.errors.contains(words), "{words}\n{said:?}");
    assert_eq!(locaria.db.one::<i64>("select count(*) from rowcall.parameters").await, 0);
    assert_eq!(locaria.db.one::<i64>("select count(*) from rowcall.source_tables").await, 1);
}

/// Sets a member of the loader's entry.
async fn loader(locaria: &Locaria, key: &str, value: &str) {
    let change = if value.is_empty() {
        format!("parameter #- '{{file_loader,{key}}}'")
    } else {
        format!("jsonb_set(parameter, '{{file_loader,{key}}}', '{value}')")
    };
    locaria
        .db
        .run(&format!(
            "update locaria_core.parameters set parameter = {change} where parameter_name = 'fargate_config'"
        ))
        .await;
}

#[tokio::test]
async fn a_place_where_locaria_is_not() {
    let locaria = Locaria::new().await;
    refused(
        &locaria,
        &["--schema", "locaria"],
        "there is no schema locaria in this database; --schema names",
    )
    .await;
    refused(&locaria, &["--schema", "aws_lambda"], "there is no table parameters in schema aws_lambda").await;
    refused(&locaria, &["--messages-table", "locaria_core.mail"], "there is no table locaria_core.mail")
        .await;
    locaria.db.run("alter table locaria_core.parameters rename column usage to used").await;
    refused(&locaria, &[], "reading locaria_core.parameters: column \"usage\" does not exist").await;
    locaria.db.run("alter table locaria_core.parameters rename column used to usage").await;
    locaria.db.run("alter table locaria_core.files drop constraint files_pkey").await;
    refused(&locaria, &[], "table locaria_core.files has no primary key").await;
    locaria.db.run("alter table locaria_core.files rename to away").await;
    refused(&locaria, &[], "there is no table files in schema locaria_core").await;
}

#[tokio::test]
async fn entries_that_are_not_of_the_form() {
    let cases = [
        ("task", "", "fargate_config.file_loader.task is missing: the ARN of a task definition"),
        ("task", "7", "fargate_config.file_loader.task must be a string that is not empty, and is 7"),
        ("task", "\"a b\"", "fargate_config.file_loader: target \"a b\" must be a task definition"),
        ("ecsName", "", "fargate_config.file_loader.ecsName is missing"),
        ("ecsName", "\"a b\"", "fargate_config.file_loader: settings.cluster must be a name"),
        (
            "vpcPrivateSubnetB",
            "[\"subnet-1\"]",
            "file_loader.vpcPrivateSubnetB must be a string that is not empty, and is [",
        ),
        (
            "vpcPrivateSubnetA",
            "\"eni-1\"",
            "file_loader: settings.subnets must be up to 16 ids that begin with subnet-",
        ),
        ("ServerlessSecurityGroup", "\"x\"", "file_loader: settings.security_groups must be up to 5 ids"),
        ("region", "{}", "fargate_config.file_loader.region must be a string"),
    ];
    let locaria = Locaria::new().await;
    for (key, value, words) in cases {
        locaria
            .db
            .run("create table if not exists public.kept as select * from locaria_core.parameters")
            .await;
        loader(&locaria, key, value).await;
        refused(&locaria, &[], words).await;
        locaria
            .db
            .run("update locaria_core.parameters p set parameter = k.parameter from public.kept k where k.id = p.id")
            .await;
    }
    loader(&locaria, "task", "").await;
    locaria
        .db
        .run("update locaria_core.parameters set parameter = jsonb_set(parameter, '{file_download}', '\"x\"') where parameter_name = 'fargate_config'")
        .await;
    let said = locaria.import(&[]).await;
    for words in [
        "file_loader.task is missing",
        "fargate_config.file_download must be an object of settings, and is \"x\"",
    ] {
        assert!(said.errors.contains(words), "all that is wrong is told at once: {said:?}");
    }
}

#[tokio::test]
async fn configurations_that_are_no_objects_or_not_there() {
    let locaria = Locaria::new().await;
    let set = |value: &str| {
        format!(
            "update locaria_core.parameters set parameter = {value} where parameter_name = 'fargate_config'"
        )
    };
    locaria.db.run(&set("'[1]'")).await;
    refused(&locaria, &[], "fargate_config must be an object with a member for each function, and is [1]")
        .await;
    locaria.db.run(&set("null")).await;
    refused(&locaria, &[], "fargate_config must be an object with a member for each function, and is null")
        .await;
    locaria.db.run("delete from locaria_core.parameters where parameter_name = 'fargate_config'").await;
    refused(&locaria, &[], "there is nothing to import\n  locaria_core.parameters has no row fargate_config")
        .await;
    locaria.db.run("delete from locaria_core.parameters where parameter_name = 'lambda_config'").await;
    refused(
        &locaria,
        &[],
        "locaria_core.parameters has no row fargate_config, nor lambda_config, nor email_config",
    )
    .await;
}

#[tokio::test]
async fn options_that_fit_nothing() {
    let locaria = Locaria::new().await;
    refused(
        &locaria,
        &["--route", "openactive=X"],
        "--route openactive=X: Locaria has no such function; there are: fargate_config.file_download, fargate_config.file_loader",
    )
    .await;
    refused(&locaria, &["--route", "file_loader=FARGATE_ERROR"], "FARGATE_ERROR is its status_failed").await;
    refused(&locaria, &["--notify-channel", "a b"], "--notify-channel a b: the name of a channel is").await;
    refused(
        &locaria,
        &["--usage", "TEST"],
        "locaria_core.parameters: no row has usage TEST; there are: fargate_config SYSTEM; lambda_config SYSTEM (--usage)",
    )
    .await;
    locaria
        .db
        .run(
            "insert into locaria_core.parameters (parameter_name, usage, parameter) values ('email_config', 'TEST', '{}'),
                 ('fargate_config', 'OLD', '{}')",
        )
        .await;
    refused(
        &locaria,
        &["--usage", "TEST"],
        "fargate_config has no usage TEST; there are: OLD, SYSTEM (--usage)",
    )
    .await;
    let said = locaria.import(&["--route", "openactive"]).await;
    assert_eq!(said.code, Some(2));
    assert!(said.errors.contains("the form is NAME=STATUS"), "{said:?}");
}

#[tokio::test]
async fn an_import_that_fails_half_way_leaves_nothing_behind() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            "create function public.refuse() returns trigger language plpgsql as
             $$ begin if new.name = 'file_loader' then raise exception 'not today'; end if; return new; end $$;
             create trigger refuse before insert on rowcall.parameters for each row execute function public.refuse()",
        )
        .await;
    refused(&locaria, &[], "not today").await;
    let said = locaria.import(&["--apply"]).await;
    assert!(
        said.errors.contains("nothing was changed; the database refused:\ninsert into rowcall.parameters"),
        "{said:?}"
    );
    let trigger: i64 = locaria.db.one("select count(*) from pg_trigger where tgname = 'files_trigger'").await;
    assert_eq!(trigger, 1);
}

#[tokio::test]
async fn a_table_in_use_is_not_waited_for_long() {
    let locaria = Locaria::new().await;
    let writer = locaria.db.connect().await;
    writer.batch_execute("begin; insert into locaria_core.files (status) values ('X')").await.unwrap();
    refused(&locaria, &[], "canceling statement due to lock timeout").await;
}
