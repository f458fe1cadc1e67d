//! Nothing that AWS answers stops a dispatcher: the worst in the place of each value of an answer, one at a time, and beside the
//! task that it is about a neighbour that must run.

use std::time::Duration;

use super::answers::{places, told, worst};
use crate::ecs::Ecs;
use crate::lambda::{LOADER, Lambda};
use crate::support::TestDatabase;
use crate::support::aws::{Fault, ScriptedAws};

/// Longer than a neighbour takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Lets every task that runs end well, for as long as this is polled.
async fn finish_all(aws: &ScriptedAws) {
    loop {
        let runs = |aws: &ScriptedAws| aws.tasks().into_iter().find(|task| task.state() == "RUNNING");
        aws.until(|aws| runs(aws).is_some()).await;
        if let Some(task) = runs(aws) {
            aws.finish(&task.arn, 0);
        }
    }
}

/// A new row of a task, by its key.
async fn insert(db: &TestDatabase) -> i64 {
    db.one("insert into rowcall.files default values returning id").await
}

/// Waits until a row's job has succeeded.
async fn succeeds(db: &TestDatabase, id: i64, case: &str) {
    let succeeded = format!("select status = 'PROCESSED' from rowcall.files where id = {id}");
    let in_time = tokio::time::timeout(LIMIT, db.until(&succeeded)).await;
    in_time.unwrap_or_else(|_| panic!("{case}: its neighbour did not run"));
}

async fn nothing_in_answers_to(action: &str) {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters_with("", (", max_attempts, backoff_max", ", 1, '10 milliseconds'")).await;
    let _dispatcher = ecs.dispatcher().await;
    let first = insert(&ecs.db).await;
    ecs.aws.until(|aws| aws.tasks().iter().any(|task| task.state() == "RUNNING")).await;
    let answer = ecs.aws.answer(action);
    tokio::select! {
        () = succeeds(&ecs.db, first, "before any") => {}
        () = finish_all(&ecs.aws) => {}
    }
    let mut victims = Vec::new();
    for at in places(&answer) {
        for value in worst() {
            let case = format!("{action}{at} = {}", told(value.as_ref()));
            ecs.aws.script(action, [Fault::Spoiled { at: at.clone(), value }]);
            victims.push((insert(&ecs.db).await, case.clone()));
            ecs.aws.until(|aws| !aws.has_faults_left(action)).await;
            let neighbour = insert(&ecs.db).await;
            tokio::select! {
                () = succeeds(&ecs.db, neighbour, &case) => {}
                () = finish_all(&ecs.aws) => {}
            }
        }
    }
    assert!(victims.len() > 50, "{} values were tried", victims.len());
    // And the victims have ended, each by itself.
    let ending = async {
        tokio::select! {
            () = ecs.db.until("select not exists (select from rowcall.jobs)") => {}
            () = finish_all(&ecs.aws) => {}
        }
    };
    if tokio::time::timeout(LIMIT / 2, ending).await.is_err() {
        let left: Vec<i64> = ecs.db.one("select array_agg((row_key->>'id')::bigint) from rowcall.jobs").await;
        let left: Vec<_> = victims.iter().filter(|(id, _)| left.contains(id)).collect();
        panic!("not ended: {left:?}");
    }
}

#[tokio::test]
async fn nothing_that_ecs_says_of_a_launch_stops_a_neighbour() {
    nothing_in_answers_to("RunTask").await;
}

#[tokio::test]
async fn nothing_that_ecs_says_of_a_task_stops_a_neighbour() {
    nothing_in_answers_to("DescribeTasks").await;
}

#[tokio::test]
async fn nothing_that_a_function_answers_stops_a_neighbour() {
    let lambda = Lambda::new("{}", ("max_attempts", "1")).await;
    let _dispatcher = lambda.dispatcher().await;
    let deep = [vec![b'['; 200], vec![b']'; 200]].concat();
    for body in [
        b"".to_vec(),
        b"null".to_vec(),
        b"{\"a\": \"\\u0000\"}".to_vec(),
        b"\xff\xfe".to_vec(),
        b"1e999999999".to_vec(),
        [b"1".to_vec(), vec![b'0'; 100_000]].concat(),
        deep,
        [b"\"".to_vec(), vec![b'x'; 6 << 20], b"\"".to_vec()].concat(),
        b"{\"errorMessage\": {\"a\": [1]}}".to_vec(),
        b"{\"a\": \"\\ud800\"}".to_vec(),
    ] {
        let case = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        lambda.aws.script("Invoke", [Fault::Body(body)]);
        let victim = insert(&lambda.db).await;
        let neighbour = insert(&lambda.db).await;
        let ended = format!(
            "select count(*) = 2 from rowcall.files where id in ({victim}, {neighbour}) and status in ('PROCESSED', 'ERROR')
             and exists (select from rowcall.files where id in ({victim}, {neighbour}) and status = 'PROCESSED')"
        );
        let in_time = tokio::time::timeout(LIMIT, lambda.db.until(&ended)).await;
        assert!(in_time.is_ok() && lambda.aws.executed(LOADER) > 0, "{case}: its neighbour did not run");
    }
}
