//! `rowcall check`: whether tasks could run from here, without running any.

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::aws::{Fault, REGION, ScriptedAws};
use crate::support::{TASKS, TestDatabase, VIEWER, login, rowcall};

struct Check {
    db: TestDatabase,
    aws: ScriptedAws,
    place: TempDir,
}

impl Check {
    /// With the definition `loader`.
    async fn new() -> Self {
        let check = Self {
            db: TestDatabase::new().await,
            aws: ScriptedAws::start().await,
            place: tempfile::tempdir().unwrap(),
        };
        check.aws.define("loader", json!({}));
        check
    }

    async fn task(&self, name: &str, target: &str, settings: &str) {
        let settings = format!("'ecs', '{target}', '{settings}'");
        self.db.task(name, &name.to_uppercase(), ("runner, target, settings", &settings)).await;
    }

    fn command(&self) -> Command {
        let mut command = rowcall(&self.db.url, self.place.path());
        command.args(["--log-level", "error", "check"]).envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_REGION", REGION),
            ("ROWCALL_AWS__ENDPOINT", self.aws.url()),
            ("ROWCALL_RUNNERS__ECS__ENABLED", "true"),
            ("ROWCALL_RUNNERS__ECS__CLUSTERS", "jobs, old"),
            ("ROWCALL_RUNNERS__ECS__SUBNETS", "subnet-*"),
            ("ROWCALL_RUNNERS__ECS__TASK_DEFINITIONS", "loader*"),
            ("ROWCALL_RUNNERS__LAMBDA__ENABLED", "true"),
            ("ROWCALL_RUNNERS__LAMBDA__FUNCTIONS", "thumbnail*"),
        ]);
        command
    }
}

/// Exit code, lines of standard output, standard error.
async fn run(command: &mut Command) -> (Option<i32>, Vec<String>, String) {
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    // That tasks can sign in is a line of its own; a test below is about it.
    let about_tasks = |line: &&str| !line.starts_with("tasks.database_url: ok");
    let lines = text(output.stdout).lines().filter(about_tasks).map(str::to_owned).collect();
    (output.status.code(), lines, text(output.stderr))
}

const GOOD: &str = r#"{"cluster": "jobs", "subnets": ["subnet-1"]}"#;

#[tokio::test]
async fn every_task_gets_a_line_and_one_problem_makes_exit_code_1() {
    let check = Check::new().await;
    check.aws.deactivate(&check.aws.define("loader-old", json!({})));
    check.aws.define("loader-two", json!({"containerDefinitions": [{"name": "a"}, {"name": "b"}]}));
    check.aws.define("loader-bridge", json!({"networkMode": "bridge"}));
    check.db.run(&format!("insert into rowcall.runner_defaults values ('ecs', '{GOOD}')")).await;
    check.task("good", "loader:1", "{}").await;
    check.task("bare", "loader", r#"{"subnets": null}"#).await;
    check.task("bridge", "loader-bridge", "{}").await;
    check.task("gone", "loader:9", "{}").await;
    check.task("old", "loader-old:1", "{}").await;
    check.task("outside", "admin", "{}").await;
    check.task("pair", "loader-two", "{}").await;
    check.task("nowhere", "loader", r#"{"cluster": "old"}"#).await;
    check.task("far", "loader", r#"{"region": "us-east-1"}"#).await;
    check.aws.add_function("thumbnail", &[]);
    check.db.task("function", "FUNCTION", ("runner, target", "'lambda', 'thumbnail'")).await;
    check.db.task("boxed", "BOXED", ("", "")).await;
    check.db.task("local", "LOCAL", ("runner, target", "'process', '/bin/sh'")).await;
    check.db.task("off", "OFF", ("enabled", "false")).await;
    let (code, lines, errors) = run(&mut check.command()).await;
    let expected = [
        "bare      ecs      loader         problem: settings.subnets is missing: the task definition's network mode is awsvpc",
        "boxed     docker   fake           problem: the runner is not enabled here (runners.docker.enabled)",
        "bridge    ecs      loader-bridge  problem: settings.subnets must be absent: the task definition's network mode is \
         not awsvpc",
        "far       ecs      loader         problem: settings.region us-east-1 is not among runners.ecs.regions of this \
         dispatcher's settings (to allow it, add \"us-east-1\" there)",
        "function  lambda   thumbnail      ok: thumbnail may be invoked",
        "gone      ecs      loader:9       problem: DescribeTaskDefinition loader:9: ClientException: Unable to describe \
         task definition.",
        "good      ecs      loader:1       ok: container loader on cluster jobs",
        "local     process  /bin/sh        ok: /bin/sh may be run",
        "nowhere   ecs      loader         problem: ListTasks of cluster old: ClusterNotFoundException: Cluster not found.",
        "old       ecs      loader-old:1   problem: target loader-old:1: the task definition is no longer active",
        "outside   ecs      admin          problem: target admin is not among runners.ecs.task_definitions of this \
         dispatcher's settings (to allow it, add \"admin\" there)",
        "pair      ecs      loader-two     problem: settings.container is missing: the task definition has several \
         containers that could be the task: a, b",
    ];
    assert_eq!(lines, expected, "{errors}");
    assert_eq!((code, errors.as_str()), (Some(1), "rowcall: 9 of 12 tasks could not run from here\n"));
    assert_eq!(check.aws.count("RunTask"), 0);
}

#[tokio::test]
async fn tasks_that_are_named_are_checked_before_they_are_enabled() {
    let check = Check::new().await;
    let (code, lines, _) = run(&mut check.command()).await;
    assert_eq!(
        (code, lines),
        (Some(0), vec!["nothing to check: no row of rowcall.parameters is enabled".to_owned()])
    );
    check.task("good", "loader", GOOD).await;
    check.task("bad", "loader", "{}").await;
    check.db.run("update rowcall.parameters set enabled = false").await;
    let (code, lines, errors) = run(check.command().arg("good")).await;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(lines, ["good  ecs  loader  ok: container loader on cluster jobs"]);
    let (code, lines, _) = run(check.command().arg("bad")).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        lines,
        ["bad  ecs  loader  problem: settings.cluster is missing: the name or ARN of an ECS cluster"]
    );
    let (code, _, errors) = run(check.command().arg("nobody")).await;
    assert_eq!((code, errors.as_str()), (Some(1), "rowcall: no parameters row named nobody\n"));
}

#[tokio::test]
async fn a_runner_that_cannot_be_asked_is_a_problem() {
    let check = Check::new().await;
    check.task("good", "loader", GOOD).await;
    check.aws.script("ListTasks", [Fault::error(400, "AccessDeniedException", "not you")]);
    let (code, lines, _) = run(&mut check.command()).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        lines,
        ["good  ecs  loader  problem: ListTasks of cluster jobs: AccessDeniedException: not you"]
    );
    let (code, lines, _) = run(check.command().env_remove("AWS_REGION")).await;
    assert_eq!(code, Some(1));
    assert_eq!(lines, ["good  ecs  loader  problem: no AWS region is known: set aws.region, or AWS_REGION"]);
}

#[tokio::test]
async fn an_arn_in_the_daemons_own_region_needs_no_region_permission() {
    let check = Check::new().await;
    check.aws.add_function("thumbnail", &[]);
    let cluster = format!("arn:aws:ecs:{REGION}:123456789012:cluster/jobs");
    check.task("good", "loader", &GOOD.replace("jobs", &cluster)).await;
    let function = format!("arn:aws:lambda:{REGION}:123456789012:function:thumbnail");
    check.db.task("small", "SMALL", ("runner, target", &format!("'lambda', '{function}'"))).await;
    let mut command = check.command();
    command.envs([
        ("ROWCALL_RUNNERS__ECS__CLUSTERS", cluster.as_str()),
        ("ROWCALL_RUNNERS__ECS__SUBNETS", "*"),
        ("ROWCALL_RUNNERS__LAMBDA__FUNCTIONS", function.as_str()),
    ]);
    let (code, lines, _) = run(&mut command).await;
    assert_eq!(code, Some(0), "{lines:?}");
}

#[tokio::test]
async fn check_signs_in_once_as_tasks_do() {
    let check = Check::new().await;
    check.task("good", "loader", GOOD).await;
    let with = async |url: &str| {
        let output = check.command().env("ROWCALL_TASKS__DATABASE_URL", url).output().await.unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), lines.lines().next().unwrap().to_owned())
    };
    let (code, said) = with(&login(&check.db.url, TASKS)).await;
    assert!(
        code == Some(0) && said.starts_with("tasks.database_url: ok: ") && said.ends_with(TASKS),
        "{said}"
    );
    let (code, said) = with(&login(&check.db.url, VIEWER)).await;
    let may_not = format!("{VIEWER} may not call the functions of tasks: GRANT rowcall_task TO {VIEWER}");
    assert!(code == Some(1) && said.ends_with(&may_not), "{said}");
    let (code, said) = with(&login(&check.db.url, TASKS).replace("of-the-tests", "wrong")).await;
    let refused = format!("password authentication failed for user \"{TASKS}\"");
    assert!(code == Some(1) && said.contains(&refused) && !said.contains("wrong"), "{said}");
}

#[tokio::test]
async fn a_login_without_the_schema_is_told_what_to_grant() {
    let check = Check::new().await;
    check.db.run("revoke usage on schema rowcall from rowcall_task").await;
    let mut command = check.command();
    command.env("DATABASE_URL", login(&check.db.url, TASKS));
    let (code, _, errors) = run(&mut command).await;
    let closed =
        format!("{TASKS} may not use the schema rowcall: GRANT rowcall_dispatcher TO {TASKS} for a daemon");
    assert!(code == Some(1) && errors.contains(&closed), "{errors}");
}
