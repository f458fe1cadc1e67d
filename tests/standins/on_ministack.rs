//! Real containers.

use aws_sdk_ecs::types::{ContainerOverride, LaunchType, Task, TaskOverride};

use crate::support::TestDatabase;
use crate::support::standins::{Definition, Ministack, Remembers, unique};

/// Longer than anything here takes on a busy machine.
const LIMIT: std::time::Duration = std::time::Duration::from_mins(1);

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_container_ends_with_an_exit_code_and_a_log() {
    let ministack = Ministack::shared().await;
    let definition = Definition::busybox().register(ministack, "task").await;
    let task = run(ministack, &definition, &["sh", "-c", "echo one; echo; echo two; exit 3"]).await;
    let task = ended(ministack, &task).await;
    assert_eq!(task.stop_code().unwrap().as_str(), "EssentialContainerExited");
    assert_eq!(exit_code(&task), Some(3));
    assert_eq!(logged(ministack, &task, 3).await, ["one", "", "two"]);
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_container_sees_a_directory_and_a_database_of_this_machine() {
    let (ministack, db) = (Ministack::shared().await, TestDatabase::new().await);
    let place = tempfile::tempdir().unwrap();
    let definition = Definition::busybox().sees(place.path()).register(ministack, "task").await;
    let port = db.url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let script =
        r#"nc -w 30 127.0.0.1 "$1" </dev/null && ! nc -w 30 127.0.0.1 1 </dev/null && echo seen >"$2/file""#;
    let path = place.path().to_str().unwrap();
    let task = run(ministack, &definition, &["sh", "-c", script, "sh", port, path]).await;
    assert_eq!(exit_code(&ended(ministack, &task).await), Some(0));
    assert_eq!(std::fs::read_to_string(place.path().join("file")).unwrap(), "seen\n");
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn our_programs_run_in_a_container() {
    let ministack = Ministack::shared().await;
    let definition = Definition::loader().register(ministack, "task").await;
    let script = "rowcall-task --version && head -n 1 /data/airports.csv && exec file_loader";
    let task = ended(ministack, &run(ministack, &definition, &["sh", "-c", script]).await).await;
    let log = logged(ministack, &task, 3).await;
    assert!(log[0].starts_with("rowcall-task ") && log[1].starts_with("iata,name"), "{log:?}");
    assert!(log[2].contains("ROWCALL_TOKEN is not set"), "{log:?}");
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_token_starts_one_task() {
    let ministack = Ministack::shared().await;
    let definition = Definition::busybox().command(&["true"]).register(ministack, "task").await;
    let (ecs, token) = (ministack.ecs(), unique("token"));
    let call =
        || ecs.run_task().cluster(Ministack::CLUSTER).task_definition(&definition).client_token(&token);
    let (first, second) = tokio::join!(call().send(), call().send());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.tasks()[0].task_arn(), second.tasks()[0].task_arn());
    let other = call().started_by("somebody-else").send().await.unwrap_err().into_service_error();
    assert!(other.is_conflict_exception(), "{other:?}");
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_task_is_stopped_when_its_container_has_ended() {
    let ministack = Ministack::shared().await;
    let definition = Definition::busybox().stop_timeout(1).register(ministack, "task").await;
    let well = "trap 'echo tidied up; exit 4' TERM; echo up; sleep 1000 & wait";
    // Process 1 has no handler for it.
    let ill = "echo up; sleep 1000";
    for (script, code) in [(well, 4), (ill, 137)] {
        let task = run(ministack, &definition, &["sh", "-c", script]).await;
        logged(ministack, &task, 1).await;
        stop(ministack, &task, "enough").await;
        let task = ended(ministack, &task).await;
        assert_eq!((task.stop_code().unwrap().as_str(), exit_code(&task)), ("UserInitiated", Some(code)));
        assert_eq!(task.stopped_reason(), Some("enough"));
    }
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn what_cannot_start_says_why() {
    let ministack = Ministack::shared().await;
    let secret = ministack.secret("it").await;
    let no_secret = secret.replace("secret-", "none-");
    let secrets = Definition::busybox().secret("WORD", &secret).command(&["sh", "-c", "test $WORD = it"]);
    let cases = [
        (secrets, ""),
        (Definition::busybox().command(&["/no-such-program"]), "no such file"),
        (Definition::busybox().command(&["true"]).secret("WORD", &no_secret), "unable to retrieve secret"),
        (Definition::of("rowcall-test-none:1").command(&["true"]), "rowcall-test-none"),
    ];
    for (definition, words) in cases {
        let definition = definition.register(ministack, "task").await;
        let task = ended(ministack, &run(ministack, &definition, &[]).await).await;
        if words.is_empty() {
            assert_eq!(exit_code(&task), Some(0), "{task:?}");
        } else {
            assert_eq!(task.stop_code().unwrap().as_str(), "TaskFailedToStart");
            assert!(task.stopped_reason().unwrap().contains(words), "{task:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_container_can_be_killed_and_removed_from_behind() {
    let ministack = Ministack::shared().await;
    let definition = Definition::busybox().register(ministack, "task").await;
    let killed = run(ministack, &definition, &["sh", "-c", "echo up; sleep 1000"]).await;
    logged(ministack, &killed, 1).await;
    ministack.containers().kill(arn(&killed), "KILL").await;
    assert_eq!(exit_code(&ended(ministack, &killed).await), Some(137));
    // Of a container that is gone it only says what it knew last, until it is told to stop the task.
    let removed = run(ministack, &definition, &["sh", "-c", "echo up; sleep 1000"]).await;
    logged(ministack, &removed, 1).await;
    ministack.containers().remove(arn(&removed)).await;
    assert_eq!(described(ministack, &removed).await.unwrap().last_status(), Some("RUNNING"));
    stop(ministack, &removed, "gone").await;
    assert_eq!(exit_code(&ended(ministack, &removed).await), None);
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_restarted_server_has_no_containers_and_remembers_as_told() {
    for remembers in [Remembers::Tasks, Remembers::Nothing] {
        let ministack = Ministack::start().await;
        let definition = Definition::busybox().register(&ministack, "task").await;
        let task = run(&ministack, &definition, &["sh", "-c", "echo up; sleep 1000"]).await;
        logged(&ministack, &task, 1).await;
        ministack.restart(remembers).await;
        assert_eq!(ministack.containers().all().await, Vec::<String>::new());
        match remembers {
            Remembers::Tasks => {
                let task = described(&ministack, &task).await.unwrap();
                assert_eq!((task.last_status(), exit_code(&task)), (Some("STOPPED"), None));
                assert_eq!(task.stop_code().map_or("", |code| code.as_str()), "");
            }
            Remembers::Nothing => assert!(described(&ministack, &task).await.is_none()),
        }
    }
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_function_answers() {
    let ministack = Ministack::shared().await;
    let source = "def handler(event, context):\n    return {'twice': 2 * event['number']}\n";
    let function = ministack.function("twice", source, 10).await;
    let payload = aws_sdk_lambda::primitives::Blob::new(r#"{"number": 21}"#);
    let answer = ministack.lambda().invoke().function_name(function).payload(payload).send().await.unwrap();
    assert_eq!((answer.status_code(), answer.function_error()), (200, None));
    let result: serde_json::Value = serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap();
    assert_eq!(result, serde_json::json!({"twice": 42}));
}

async fn run(ministack: &Ministack, definition: &str, command: &[&str]) -> Task {
    let command = (!command.is_empty()).then(|| command.iter().map(ToString::to_string).collect());
    let main = ContainerOverride::builder().name(Definition::CONTAINER).set_command(command).build();
    let call = ministack.ecs().run_task().cluster(Ministack::CLUSTER).task_definition(definition);
    let call = call.overrides(TaskOverride::builder().container_overrides(main).build());
    let answer = call.launch_type(LaunchType::Ec2).send().await.unwrap();
    answer.tasks()[0].clone()
}

async fn stop(ministack: &Ministack, task: &Task, reason: &str) {
    let call = ministack.ecs().stop_task().cluster(Ministack::CLUSTER).task(arn(task)).reason(reason);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.task().unwrap().desired_status(), Some("STOPPED"));
}

async fn described(ministack: &Ministack, task: &Task) -> Option<Task> {
    let call = ministack.ecs().describe_tasks().cluster(Ministack::CLUSTER).tasks(arn(task));
    call.send().await.unwrap().tasks().first().cloned()
}

/// Asks until it has ended: the server tells nobody.
async fn ended(ministack: &Ministack, task: &Task) -> Task {
    let asking = async {
        loop {
            let task = described(ministack, task).await.unwrap();
            if task.last_status() == Some("STOPPED") {
                return task;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.expect("the task does not end")
}

/// Asks until so many lines have arrived, as they do a little later than they were written.
async fn logged(ministack: &Ministack, task: &Task, lines: usize) -> Vec<String> {
    let stream = format!("task/{}/{}", Definition::CONTAINER, arn(task).rsplit_once('/').unwrap().1);
    let logs = ministack.logs();
    let asking = async {
        loop {
            let call = logs.get_log_events().log_group_name(Ministack::LOG_GROUP);
            if let Ok(answer) = call.log_stream_name(&stream).start_from_head(true).send().await
                && answer.events().len() >= lines
            {
                return answer.events().iter().map(|e| e.message().unwrap_or_default().to_owned()).collect();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.expect("nothing was logged")
}

fn arn(task: &Task) -> &str {
    task.task_arn().unwrap()
}

fn exit_code(task: &Task) -> Option<i32> {
    task.containers()[0].exit_code()
}
