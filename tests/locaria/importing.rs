//! What an import says, and what it makes.

use serde_json::{Value, json};

use super::Locaria;
use crate::support::{ADMIN, login};

/// Everything that an import could change.
async fn picture(locaria: &Locaria) -> String {
    locaria
        .db
        .one(
            "select concat_ws(E'\\n',
                (select string_agg(p::text, E'\\n' order by name) from rowcall.parameters p),
                (select string_agg(h::text, E'\\n' order by name, version) from rowcall.parameters_history h),
                (select string_agg(s::text, E'\\n' order by id) from rowcall.source_tables s),
                (select string_agg(pg_get_triggerdef(t.oid), E'\\n' order by tgname) from pg_trigger t
                 where tgrelid = 'locaria_core.files'::regclass),
                (select string_agg(f::text, E'\\n' order by id) from locaria_core.files f),
                (select count(*) from pg_proc where pronamespace = 'locaria_core'::regnamespace),
                (select relacl from pg_class where oid = 'locaria_core.files'::regclass))",
        )
        .await
}

#[tokio::test]
async fn the_plan_changes_nothing_and_its_sql_is_what_is_done() {
    let locaria = Locaria::new().await;
    let before = picture(&locaria).await;
    let plan = locaria.printed(&["--replace-trigger", "--keep-deleted"]).await;
    assert_eq!(picture(&locaria).await, before);
    assert!(plan.ends_with("Nothing was changed; --apply makes the changes.\n"), "{plan}");

    let sql = plan.split_once("As SQL:\n").unwrap().1.rsplit_once("Nothing was changed").unwrap().0;
    locaria.db.run(sql).await;
    let by_hand = picture(&locaria).await;
    assert_ne!(by_hand, before);
    let repeated = locaria.done(&["--apply", "--replace-trigger", "--keep-deleted"]).await;
    assert!(repeated.contains("There is nothing to do."), "{repeated}");
    assert_eq!(picture(&locaria).await, by_hand);
}

#[tokio::test]
async fn a_fargate_config_becomes_two_tasks_on_the_same_table() {
    let locaria = Locaria::new().await;
    let said = locaria.done(&["--apply", "--replace-trigger"]).await;
    let rows: Vec<Value> =
        locaria.db.one("select array_agg(to_jsonb(p) order by name) from rowcall.parameters p").await;
    let common = json!({
        "source_table": "locaria_core.files", "runner": "ecs", "enabled": true, "max_running": 1, "completion": "report",
        "result_column": "attributes", "notify_channel": "locaria_file_status", "timeout": "06:00:00", "condition": null,
        "settings": {"cluster": "jobs", "subnets": ["subnet-0a", "subnet-0b"], "security_groups": ["sg-01"],
            "launch_type": "FARGATE", "assign_public_ip": true, "region": "eu-west-1"},
    });
    let own = [
        json!({
            "name": "file_download", "on_status": "DOWNLOAD_REQUESTED",
            "target": "arn:aws:ecs:eu-west-1:123456789012:task-definition/file-download:1",
            "status_running": null, "status_running_by": "task",
            "status_succeeded": "DOWNLOAD_COMPLETED", "status_failed": "DOWNLOAD_ERROR",
        }),
        json!({
            "name": "file_loader", "on_status": "REGISTERED",
            "target": "arn:aws:ecs:eu-west-1:123456789012:task-definition/file-loader:1",
            "status_running": "FARGATE_PROCESSING", "status_running_by": "task",
            "status_succeeded": "FARGATE_PROCESSED", "status_failed": "FARGATE_ERROR",
        }),
    ];
    assert_eq!(rows.len(), 2);
    for (row, own) in rows.iter().zip(own) {
        for (column, value) in common.as_object().unwrap().iter().chain(own.as_object().unwrap()) {
            assert_eq!(row[column], *value, "{} of {}", column, row["name"]);
        }
    }
    let touch: String = locaria
        .db
        .one("select touch_column from rowcall.source_tables where relation = 'locaria_core.files'::regclass")
        .await;
    assert_eq!(touch, "last_update");
    for part in [
        "dropped: arn: the lambda that called RunTask; Rowcall calls it itself",
        "dropped: ecrRepositoryUri: the task definition names the image",
        "clusters = [\"jobs\"]",
        "task_definitions = [\"arn:aws:ecs:eu-west-1:123456789012:task-definition/file-download:1\", \
         \"arn:aws:ecs:eu-west-1:123456789012:task-definition/file-loader:1\"]",
        "subnets = [\"subnet-0a\", \"subnet-0b\"]",
        "security_groups = [\"sg-01\"]",
        "allow_public_ip = true",
        "regions = [\"eu-west-1\"]",
        "NOTIFY locaria_file_status",
        "Done: ",
        "made the task file_loader from fargate_config.file_loader",
        "dropped the trigger files_trigger of locaria_core.files",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[tokio::test]
async fn the_old_trigger_is_dropped_only_on_request_and_can_come_back() {
    let locaria = Locaria::new().await;
    let triggers = "select count(*) from pg_trigger where tgrelid = 'locaria_core.files'::regclass and tgname = 'files_trigger'";
    let said = locaria.done(&["--apply"]).await;
    let warning = "WARNING: the trigger files_trigger of locaria_core.files stays, and dispatches as before";
    assert_eq!((said.matches(warning).count(), locaria.db.one::<i64>(triggers).await), (2, 1), "{said}");

    let before: String =
        locaria.db.one("select pg_get_triggerdef(oid) from pg_trigger where tgname = 'files_trigger'").await;
    let said = locaria.printed(&["--apply", "--replace-trigger"]).await;
    assert!(!said.contains("WARNING"), "{said}");
    assert_eq!(locaria.db.one::<i64>(triggers).await, 0);
    let definition =
        said.lines().find(|line| line.trim().starts_with("CREATE TRIGGER files_trigger")).unwrap();
    locaria.db.run(definition).await;
    let after: String =
        locaria.db.one("select pg_get_triggerdef(oid) from pg_trigger where tgname = 'files_trigger'").await;
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_dispatching_trigger_is_known_by_its_function_not_its_name() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            "alter trigger files_trigger on locaria_core.files rename to \"Odd name\";
             create function locaria_core.note() returns trigger language plpgsql as $$ begin return null; end $$;
             create trigger harmless after insert on locaria_core.files for each row execute function locaria_core.note();
             alter table locaria_core.files disable trigger \"Odd name\"",
        )
        .await;
    let plan = locaria.done(&[]).await;
    assert!(
        plan.contains("trigger \"Odd name\" (locaria_core.files_trigger()) is disabled and stays so"),
        "{plan}"
    );
    assert!(!plan.contains("harmless") && !plan.contains("WARNING"), "{plan}");
    locaria.done(&["--apply", "--replace-trigger"]).await;
    let left: Vec<String> = locaria
        .db
        .one(
            "select array_agg(tgname::text order by tgname) from pg_trigger
             where tgrelid = 'locaria_core.files'::regclass and not tgisinternal",
        )
        .await;
    assert_eq!(left, ["harmless", "rowcall_insert", "rowcall_update", "test_changed"]);
}

#[tokio::test]
async fn functions_without_a_status_are_left_out_until_given_one() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            r#"update locaria_core.parameters set parameter = parameter
                   || jsonb_build_object('openactive', (parameter->'file_loader' || '{"extra": 1}') - 'ServerlessSecurityGroup')
               where parameter_name = 'fargate_config';
               update locaria_core.parameters set parameter = parameter
                   || '{"resize": {"arn": "arn:aws:lambda:eu-west-1:123456789012:function:resize", "region": "eu-west-1",
                                   "mode": "RequestResponse", "log": "Tail", "width": 200, "name": "{{ it }}"},
                        "openactive": {"arn": "arn:aws:lambda:eu-west-1:123456789012:function:oa"}}'
               where parameter_name = 'lambda_config'"#,
        )
        .await;
    let plan = locaria.done(&[]).await;
    for left in ["fargate_config.openactive", "lambda_config.resize", "lambda_config.openactive"] {
        assert!(plan.contains(&format!("{left}: Locaria's trigger starts it at no status")), "{plan}");
    }
    assert!(plan.contains("--route resize=STATUS"), "{plan}");

    let said = locaria
        .done(&["--apply", "--route", "openactive=OPENACTIVE", "--route", "lambda_config.resize=RESIZE"])
        .await;
    assert!(said.contains("dropped: extra: not a key that Locaria's dispatch reads"), "{said}");
    assert!(said.contains("no ServerlessSecurityGroup: it runs in the VPC's default group"), "{said}");
    let rows: Vec<Value> = locaria
        .db
        .one("select array_agg(to_jsonb(p) order by name) from rowcall.parameters p where not enabled")
        .await;
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lambda_config_openactive", "openactive", "resize"], "one status may have two tasks");
    assert_eq!(
        (&rows[0]["runner"], &rows[0]["settings"]),
        (&json!("lambda"), &json!({"mode": "Event", "fire_and_forget": true, "log": false}))
    );
    assert_eq!((&rows[1]["runner"], &rows[1]["on_status"]), (&json!("ecs"), &json!("OPENACTIVE")));
    let payload = json!({"width": 200, "name": "{{ '{{' }} it }}"});
    assert_eq!(
        rows[2]["settings"],
        json!({"mode": "RequestResponse", "log": true, "region": "eu-west-1", "payload": payload})
    );
    assert_eq!(rows[2]["target"], "arn:aws:lambda:eu-west-1:123456789012:function:resize");
    assert_eq!([&rows[2]["status_running"], &rows[2]["status_failed"]], [&Value::Null, &Value::Null]);
}

#[tokio::test]
async fn emails_are_sent_by_rows_of_a_table_of_messages() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            r#"create table locaria_core.messages (id bigserial primary key, status text, message jsonb);
               create trigger messages_trigger after insert on locaria_core.messages
                   for each row execute function locaria_core.files_trigger();
               insert into locaria_core.parameters (parameter_name, parameter) values ('email_config',
                   '{"contact_us": {"arn": "arn:aws:lambda:eu-west-1:123456789012:function:mail", "region": "eu-west-1",
                                    "Source": "info@example.org", "Template": "contact"}}')"#,
        )
        .await;
    let plan = locaria.done(&["--replace-trigger"]).await;
    assert!(plan.contains("email_config.contact_us: it is started by rows of a table of messages"), "{plan}");
    assert!(!plan.contains("messages_trigger"), "no task is on that table: {plan}");
    locaria
        .done(&[
            "--apply",
            "--replace-trigger",
            "--messages-table",
            "locaria_core.messages",
            "--route",
            "contact_us=NEW",
        ])
        .await;
    let row: Value =
        locaria.db.one("select to_jsonb(p) from rowcall.parameters p where name = 'contact_us'").await;
    assert_eq!(
        [&row["source_table"], &row["on_status"], &row["enabled"]],
        [&json!("locaria_core.messages"), &json!("NEW"), &json!(false)]
    );
    assert_eq!(row["settings"]["payload"], json!({"Source": "info@example.org", "Template": "contact"}));
    let triggers: Vec<String> = locaria
        .db
        .one(
            "select array_agg(tgname::text order by tgname) from pg_trigger
             where tgrelid = 'locaria_core.messages'::regclass and not tgisinternal",
        )
        .await;
    assert_eq!(triggers, ["rowcall_insert", "rowcall_update"]);
}

#[tokio::test]
async fn rows_that_rest_are_counted_and_left_to_a_person() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            "alter table locaria_core.files disable trigger user;
             insert into locaria_core.files (status) values ('REGISTERED'), ('REGISTERED'), ('FARGATE_PROCESSING'), (null);
             alter table locaria_core.files enable trigger user",
        )
        .await;
    let said = locaria.done(&["--apply", "--replace-trigger"]).await;
    assert!(said.contains("rows that rest in REGISTERED: 2; the import starts none of them"), "{said}");
    assert!(said.contains("rows that rest in FARGATE_PROCESSING: 1;"), "{said}");
    assert_eq!(locaria.db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    for statement in [
        "update locaria_core.files set status = 'REGISTERED' where status = 'FARGATE_PROCESSING';",
        "select rowcall.rescan('locaria_core.files');",
    ] {
        assert!(said.contains(statement), "{said}");
        locaria.db.run(statement).await;
    }
    assert_eq!(locaria.db.jobs("file_loader").await, 3);
}

#[tokio::test]
async fn an_owner_of_the_files_who_may_edit_parameters_can_import() {
    let mut locaria = Locaria::new().await;
    locaria
        .db
        .run(&format!(
            "alter schema locaria_core owner to {ADMIN}; alter table locaria_core.files owner to {ADMIN};
             alter table locaria_core.parameters owner to {ADMIN}; alter function locaria_core.files_trigger owner to {ADMIN}"
        ))
        .await;
    locaria.db.url = login(&locaria.db.url, ADMIN);
    let said = locaria.done(&["--apply", "--replace-trigger", "--keep-deleted"]).await;
    assert!(said.contains("Done: locaria_core.files is watched"), "{said}");
    locaria.db.run("insert into locaria_core.files (id) values (1)").await;
    assert_eq!(locaria.db.jobs("file_loader").await, 1);
    let loader = "update locaria_core.parameters set parameter = parameter - 'file_download' #- '{file_loader,vpcPrivateSubnetA}'
                  #- '{file_loader,vpcPrivateSubnetB}' where parameter_name = 'fargate_config'";
    locaria.db.run(loader).await;
    let said = locaria.import(&[]).await;
    assert!(said.errors.contains("file_loader.vpcPrivateSubnetA is missing"), "{said:?}");
}

#[tokio::test]
async fn a_disabled_task_that_loses_its_trigger_is_warned_of() {
    let locaria = Locaria::new().await;
    locaria.done(&["--apply"]).await;
    locaria.db.run("update rowcall.parameters set enabled = false where name = 'file_loader'").await;
    let said = locaria.done(&["--replace-trigger"]).await;
    assert!(
        said.contains(
            "WARNING: file_loader was started by the trigger that is dropped, and its task is not enabled: nothing starts it then"
        ),
        "{said}"
    );
    assert!(!said.contains("file_download was started"), "{said}");
}
