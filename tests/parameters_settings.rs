//! What a DBA writes into settings: refused at once where AWS would refuse it, and by the same rules as in the daemon.

use rowcall::job::RunnerName;
use rowcall::runners::ecs::{self, TaskSettings, check_target};
use rowcall::runners::{docker, lambda};
use serde_json::{Value, json};

use crate::support::TestDatabase;

const INSERT: &str = "insert into rowcall.parameters (name, on_status, runner, target, settings)
    values ('loader', 'REGISTERED', $1, $2, $3)";

impl TestDatabase {
    /// Whether a row with these settings is taken; otherwise column and message.
    async fn takes(&self, runner: &str, target: &str, settings: &Value) -> Result<(), String> {
        let answer = self.client.execute(INSERT, &[&runner, &target, settings]).await;
        self.run("delete from rowcall.parameters").await;
        answer.map(drop).map_err(|error| {
            let error = error.as_db_error().expect("an answer of the database");
            assert_eq!(error.code().code(), "23514", "{error}");
            format!("{}: {}", error.column().unwrap_or_default(), error.message())
        })
    }
}

#[tokio::test]
async fn a_wrong_edit_says_which_key_and_what_it_must_be() {
    let db = TestDatabase::new().await;
    let providers = |items: Value| json!({ "capacity_provider_strategy": items });
    let cases = [
        (
            "ecs",
            json!({"clustr": "jobs"}),
            "clustr: the ecs runner has no such setting; did you mean cluster?",
        ),
        ("ecs", json!({"qqqq": 1}), "qqqq: the ecs runner has no such setting"),
        (
            "ecs",
            json!({"subnets": "subnet-1"}),
            "subnets must be up to 16 ids that begin with subnet-, and is \"subnet-1\"",
        ),
        (
            "ecs",
            json!({"launch_type": "fargate"}),
            "launch_type must be EC2, FARGATE, EXTERNAL or MANAGED_INSTANCES, and is \"fargate\"",
        ),
        (
            "ecs",
            json!({"cpu": "1 vCPU"}),
            "cpu must be a whole number of CPU units (1024 are one vCPU), and is \"1 vCPU\"",
        ),
        (
            "ecs",
            json!({"ephemeral_storage_gib": 20}),
            "ephemeral_storage_gib must be an integer from 21 to 200, and is 20",
        ),
        (
            "ecs",
            providers(json!([{"capacity_provider": "A", "wieght": 1}])),
            "capacity_provider_strategy[0].wieght: the ecs runner has no such setting; did you mean weight?",
        ),
        (
            "ecs",
            providers(json!([{"weight": 1}])),
            "capacity_provider_strategy[0].capacity_provider is missing",
        ),
        (
            "ecs",
            json!({"launch_type": "EC2", "capacity_provider_strategy": [{"capacity_provider": "A", "weight": 1}]}),
            "launch_type and settings.capacity_provider_strategy exclude each other",
        ),
        (
            "ecs",
            json!({"tags": {"aws:x": "1"}}),
            "tags.aws:x: keys that begin with aws: or rowcall: are taken",
        ),
        ("docker", json!({"privileged": true}), "privileged: the docker runner has no such setting"),
        (
            "docker",
            json!({"mounts": [{"source": "../etc", "target": "/etc"}]}),
            "mounts[0].source must be a full path without . and .., or the name of a volume, and is \"../etc\"",
        ),
        ("docker", json!({"mounts": [{"source": "/data"}]}), "mounts[0].target is missing"),
        ("lambda", json!({"mode": "Sync"}), "mode must be RequestResponse or Event, and is \"Sync\""),
        (
            "lambda",
            json!({"payload": {"rowcall": 1}}),
            "payload.rowcall: this member is set by the dispatcher",
        ),
    ];
    for (runner, settings, error) in cases {
        let refused = db.takes(runner, "loader", &settings).await.unwrap_err();
        assert_eq!(refused, format!("settings: parameters.settings.{error}"));
    }
    let none = db.takes("process", "/bin/load", &json!({"anything": [1]})).await.unwrap_err();
    assert_eq!(none, "settings: parameters.settings.anything: the process runner takes no settings");
    assert_eq!(db.takes("process", "/bin/load", &json!({"anything": null})).await, Ok(()));
}

#[tokio::test]
async fn a_refusal_says_what_helps() {
    let db = TestDatabase::new().await;
    let insert = |settings: &str| {
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target, settings)
                 values ('loader', 'REGISTERED', 'lambda', 'loader', '{settings}')"
        )
    };
    let refused = db.refused(&insert(r#"{"mod": "Event"}"#)).await;
    assert!(
        refused.ends_with("There are: mode, qualifier, region, fire_and_forget, payload, log."),
        "{refused}"
    );
    let refused = db.refused(&insert(r#"{"qualifier": 7}"#)).await;
    assert!(refused.ends_with("and is 7  if the target has none"), "{refused}");
}

#[tokio::test]
async fn a_conflict_of_row_and_defaults_is_refused_in_the_row_only() {
    let db = TestDatabase::new().await;
    let strategy =
        json!({"capacity_provider_strategy": [{"capacity_provider": "FARGATE_SPOT", "weight": 1}]});
    db.run(r#"insert into rowcall.runner_defaults values ('ecs', '{"cluster": "jobs", "launch_type": "FARGATE"}')"#)
        .await;
    let refused = db.takes("ecs", "loader", &strategy).await.unwrap_err();
    assert!(
        refused.ends_with("launch_type and settings.capacity_provider_strategy exclude each other"),
        "{refused}"
    );
    let mut taken_back = strategy.clone();
    taken_back["launch_type"] = Value::Null;
    assert_eq!(db.takes("ecs", "loader", &taken_back).await, Ok(()));

    db.run("update rowcall.runner_defaults set settings = '{}'").await;
    db.client.execute(INSERT, &[&"ecs", &"loader", &strategy]).await.unwrap();
    db.run(r#"update rowcall.runner_defaults set settings = '{"launch_type": "FARGATE"}'"#).await;
    // Whoever looks after the row can still change whatever else there is in it.
    db.run("update rowcall.parameters set enabled = false").await;
    let refused = db.refused("update rowcall.parameters set settings = settings || '{\"gpu\": 1}'").await;
    assert!(refused.contains("exclude each other"), "{refused}");
}

#[tokio::test]
async fn defaults_are_held_to_the_same_keys() {
    let db = TestDatabase::new().await;
    let deep = "insert into rowcall.runner_defaults values ('lambda', (repeat('{\"payload\":', 102) || '1' || repeat('}', 102))::jsonb)";
    let refused = db.refused(deep).await;
    assert!(
        refused.starts_with("23514 runner_defaults.settings must be an object of at most 100 levels"),
        "{refused}"
    );
    let refused = db.refused(r#"insert into rowcall.runner_defaults values ('ecs', '{"subnet": []}')"#).await;
    let expected =
        "23514 runner_defaults.settings.subnet: the ecs runner has no such setting; did you mean subnets?";
    assert!(refused.starts_with(expected), "{refused}");
    db.run(r"insert into rowcall.runner_defaults values ('ecs', '{}')").await;
    let refused = db
        .refused(r#"update rowcall.runner_defaults set settings = '{"gpu": 0}' where runner = 'ecs'"#)
        .await;
    assert!(
        refused.contains("runner_defaults.settings.gpu must be an integer, at least 1, and is 0"),
        "{refused}"
    );
}

#[tokio::test]
async fn overrides_that_no_row_could_make_short_enough_are_refused() {
    let db = TestDatabase::new().await;
    let insert = |runner: &str, text: String| {
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target, command, environment)
                 values ('{runner}', 'for_{runner}', '{runner}', 'loader', array['{text}'], '{{\"A\": \"b\"}}')"
        )
    };
    let refused = db.refused(&insert("ecs", "x".repeat(8000))).await;
    assert!(refused.contains("8407 characters of container overrides, and ECS takes 8192"), "{refused}");
    db.run(&insert("ecs", format!("{}{{{{ row.id }}}}", "x".repeat(8000)))).await;
    db.run(&insert("lambda", "x".repeat(8000))).await;
}

#[tokio::test]
async fn targets_have_a_form() {
    let db = TestDatabase::new().await;
    let definition = "arn:aws:ecs:eu-west-1:1:task-definition/loader:7";
    for target in [
        "loader",
        "loader:7",
        definition,
        "a b",
        "loader:x",
        "loader:",
        "image/name:1",
        "arn:aws:ecs:x:1:cluster/x",
    ] {
        let taken = db.takes("ecs", target, &json!({})).await;
        assert_eq!(taken.is_ok(), check_target(target).is_ok(), "{target}: {taken:?}");
    }
    let refused = db.takes("ecs", "loader:x", &json!({})).await.unwrap_err();
    assert_eq!(
        refused,
        "target: parameters.target: \"loader:x\" must be a task definition: family, family:revision or ARN"
    );
    let function = "arn:aws:lambda:eu-west-1:1:function:loader:$LATEST";
    for target in ["loader", "loader:live", "1:function:loader", function] {
        assert_eq!(db.takes("lambda", target, &json!({})).await, Ok(()), "{target}");
    }
    for target in ["a b", "loader:", "arn:aws:ecs:eu-west-1:1:cluster/x", "a:b:c:d:e"] {
        let refused = db.takes("lambda", target, &json!({})).await.unwrap_err();
        assert!(refused.contains("is not a function"), "{target}: {refused}");
    }
}

#[tokio::test]
async fn database_and_daemon_know_the_same_keys() {
    let db = TestDatabase::new().await;
    for &runner in RunnerName::ALL {
        let known = match runner {
            RunnerName::Process => &[][..],
            RunnerName::Docker => &docker::SETTINGS,
            RunnerName::Ecs => &ecs::SETTINGS,
            RunnerName::Lambda => &lambda::SETTINGS,
        };
        let keys = "select array_remove(array_agg(key), null) from rowcall.settings_keys()
            where runner = $1 and key not like '%[]%'";
        let keys: Option<Vec<String>> = db.one_with(keys, &[&runner.as_str()]).await;
        assert_eq!(keys.unwrap_or_default(), known, "{runner}");
    }
}

/// Each of them is right for some key, or almost.
fn values() -> Vec<Value> {
    vec![
        json!("text"),
        json!(""),
        json!("7"),
        json!("+7"),
        json!("a b"),
        json!("arn:x"),
        json!("arn:x.env"),
        json!("FARGATE"),
        json!(7),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(21),
        json!(200),
        json!(201),
        json!(5_000_000_000_i64),
        json!(true),
        json!(null),
        json!([]),
        json!({}),
        json!([7]),
        json!([null]),
        json!(["subnet-1"]),
        json!(["sg-1"]),
        json!(["arn:x.env"]),
        json!(vec!["subnet-1"; 17]),
        json!(vec!["sg-1"; 6]),
        json!({"a": "b"}),
        json!({"a": 1}),
        json!({"a": null}),
        json!({"": "b"}),
        json!({"a*": "b"}),
        json!({"a": "b\n"}),
        json!({"AWS:a": "b"}),
        json!({"rowcall:a": "b"}),
        json!({"é": "ü b_+-=.:/@"}),
        json!({"a": "b".repeat(257)}),
        json!({"a".repeat(129): "b"}),
        json!([{}]),
        json!([{"type": "spread"}]),
        json!([{"type": "spread", "field": null}]),
        json!([{"type": "memberOf", "expression": "x"}]),
        json!([{"type": "memberOf", "expression": 1}]),
        json!([{"type": "random", "more": 1}]),
        json!(vec![json!({"type": "distinctInstance"}); 11]),
        json!(vec![json!({"type": "random"}); 6]),
        json!([{"capacity_provider": "A"}]),
        json!([{"capacity_provider": "A", "weight": 1}]),
        json!([{"capacity_provider": "A", "weight": 1001}]),
        json!([{"capacity_provider": "A", "weight": 1, "base": null}]),
        json!([{"capacity_provider": "", "weight": 1}]),
        json!([{"capacity_provider": "A", "weight": 1, "base": 100_001}]),
        json!(vec![json!({"capacity_provider": "A", "weight": 1}); 21]),
        json!([{"weight": 1}]),
        json!([{"capacity_provider": "A", "weight": 1, "base": 1}, {"capacity_provider": "B", "base": 1}]),
        json!([{"capacity_provider": "A", "weight": "1"}]),
    ]
}

#[tokio::test]
async fn database_and_daemon_agree_about_settings_of_ecs() {
    let db = TestDatabase::new().await;
    let values = values();
    let one_by_one =
        ecs::SETTINGS.iter().flat_map(|key| values.iter().map(move |value| json!({ *key: value })));
    let several = [
        json!({"launch_type": "FARGATE", "capacity_provider_strategy": [{"capacity_provider": "A", "weight": 1}]}),
        json!({"launch_type": null, "capacity_provider_strategy": [{"capacity_provider": "A", "weight": 1}]}),
        json!({"launch_type": "FARGATE", "capacity_provider_strategy": []}),
        json!({"tags": (0..47).map(|n| (n.to_string(), "x".into())).collect::<serde_json::Map<_, _>>()}),
        json!({"tags": (0..48).map(|n| (n.to_string(), "x".into())).collect::<serde_json::Map<_, _>>()}),
        json!({"subnets": ["subnet-1"], "security_groups": ["sg-1"], "assign_public_ip": true}),
        json!({"cpu": 256, "memory": "512", "clustr": "x"}),
    ];
    let (mut good, mut bad) = (0, 0);
    for mut settings in one_by_one.chain(several) {
        if settings.get("cluster").is_none() {
            settings["cluster"] = json!("jobs");
        }
        let daemon = TaskSettings::read(&settings).map(drop);
        // What is missing may still come from the defaults; an empty name is not missing.
        let missing = daemon.as_ref().is_err_and(|error| error.contains(" is missing: "));
        let daemon = if missing && settings["cluster"] != json!("") { Ok(()) } else { daemon };
        let database = db.takes("ecs", "loader", &settings).await;
        assert_eq!(
            database.is_ok(),
            daemon.is_ok(),
            "{settings}\ndatabase: {database:?}\ndaemon: {daemon:?}"
        );
        *(if daemon.is_ok() { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 100 && bad > 100, "{good} good, {bad} bad");
}

#[tokio::test]
async fn database_and_daemon_agree_about_settings_of_lambda() {
    let db = TestDatabase::new().await;
    let values = values();
    let one_by_one =
        lambda::SETTINGS.iter().flat_map(|key| values.iter().map(move |value| json!({ *key: value })));
    let several = [
        json!({"mode": "Event", "fire_and_forget": true}),
        json!({"mode": "RequestResponse", "fire_and_forget": true}),
        json!({"mode": "RequestResponse", "fire_and_forget": false}),
        json!({"qualifier": "$LATEST"}),
        json!({"payload": {"rowcall": 1}}),
    ];
    for settings in one_by_one.chain(several) {
        let daemon = lambda::read_settings(&settings).map(drop);
        // The mode, too, may still come from the defaults.
        let missing = daemon.as_ref().is_err_and(|e| e.contains("needs settings.mode"))
            && settings.get("mode").is_none();
        let daemon = if missing { Ok(()) } else { daemon };
        let database = db.takes("lambda", "loader", &settings).await;
        assert_eq!(
            database.is_ok(),
            daemon.is_ok(),
            "{settings}\ndatabase: {database:?}\ndaemon: {daemon:?}"
        );
    }
}

/// The same for keys of docker.
fn more_values() -> Vec<Value> {
    vec![
        json!("always"),
        json!("a:b"),
        json!("a:b:c"),
        json!("_a.b-c"),
        json!("/a/b"),
        json!("host:gateway"),
        json!(5),
        json!(6),
        json!(120),
        json!(121),
        json!(["a:b"]),
        json!(["a:b c"]),
        json!(["a b:c"]),
        json!([":b"]),
        json!(["a:"]),
        json!(["a=b:c"]),
        json!(["::1"]),
        json!(["a:::1"]),
        json!(["/tmp"]),
        json!(["/"]),
        json!(["/a/"]),
        json!(["/a//b"]),
        json!(["/a/../b"]),
        json!(["/a/.b", "/.../c"]),
        json!(["/a/."]),
        json!(vec!["/a"; 20]),
        json!(vec!["/a"; 21]),
        json!(vec!["a:b"; 51]),
        json!([{"source": "/", "target": "/a"}]),
        json!([{"source": "/a/..", "target": "/a"}]),
        json!([{"source": "/a", "target": "/"}]),
        json!([{"source": "/a", "target": "a"}]),
        json!([{"source": "/a\nb", "target": "/a\n"}]),
        json!([{"source": "ab", "target": "/a", "read_only": true}]),
        json!([{"source": "ab", "target": "/a", "read_only": null}]),
        json!([{"source": "ab", "target": "/a", "read_only": "yes"}]),
        json!([{"source": "a", "target": "/a"}]),
        json!([{"source": "_b", "target": "/a"}]),
        json!([{"source": "a/b", "target": "/a"}]),
        json!([{"source": "", "target": "/a"}]),
        json!([{"source": "ab"}]),
        json!([{"target": "/a"}]),
        json!([{"source": "ab", "target": "/a", "propagation": "shared"}]),
        json!(vec![json!({"source": "ab", "target": "/a"}); 51]),
    ]
}

#[tokio::test]
async fn database_and_daemon_agree_about_settings_of_docker() {
    let db = TestDatabase::new().await;
    let values = [values(), more_values()].concat();
    let one_by_one =
        docker::SETTINGS.iter().flat_map(|key| values.iter().map(move |value| json!({ *key: value })));
    let several = [
        json!({"engine": "unix:///run/other.sock"}),
        json!({"privileged": true}),
        json!({"cpu": 256, "memory": "512", "network": "none", "init": false, "read_only": true, "tmpfs": ["/tmp"]}),
    ];
    let (mut good, mut bad) = (0, 0);
    for settings in one_by_one.chain(several) {
        let daemon = docker::TaskSettings::read(&settings).map(drop);
        let database = db.takes("docker", "loader", &settings).await;
        assert_eq!(
            database.is_ok(),
            daemon.is_ok(),
            "{settings}\ndatabase: {database:?}\ndaemon: {daemon:?}"
        );
        *(if daemon.is_ok() { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 50 && bad > 100, "{good} good, {bad} bad");
}

#[tokio::test]
async fn images_have_a_form() {
    let db = TestDatabase::new().await;
    let digest = format!("acme/loader:7@sha256:{}", "0a".repeat(32));
    for target in [
        "loader",
        "localhost:5000/a/b_c:D",
        "acme.example/loader",
        &digest,
        "a b",
        "Loader",
        "loader:",
        "-v",
        "/x",
        "http://a/b",
        "a@b",
        "a\n",
    ] {
        let taken = db.takes("docker", target, &json!({})).await;
        assert_eq!(taken.is_ok(), docker::check_target(target).is_ok(), "{target}: {taken:?}");
    }
    let refused = db.takes("docker", "a b", &json!({})).await.unwrap_err();
    assert!(
        refused.starts_with("target: parameters.target: \"a b\" must be the name of an image"),
        "{refused}"
    );
}
