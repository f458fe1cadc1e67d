//! The part of AWS in the chaos: containers that begin, report, end, and answers that fail or lie.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use super::ledger::{Event, Ledger, Run};
use crate::support::aws::{Fault, Ghost, Refusal, ScriptedAws};

/// How often its clocks are looked at.
const BEAT: Duration = Duration::from_millis(100);

/// What becomes of a container.
struct Plan {
    row: String,
    run: Run,
    token: String,
    due: Option<Instant>,
    lasts: Duration,
    code: i32,
    reports: bool,
}

/// Lets tasks begin and end until it is over; then until none is left.
pub async fn play(
    aws: Arc<ScriptedAws>,
    ledger: Arc<Ledger>,
    url: String,
    seed: u64,
    over: CancellationToken,
) {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(41));
    let (mut known, mut plans) = (0, BTreeMap::new());
    while !over.is_cancelled() {
        tokio::time::sleep(BEAT).await;
        if aws.count_tasks(|_| true) > known {
            for task in aws.tasks().into_iter().skip(known) {
                known += 1;
                let number = |name| task.environment(name).and_then(|text| text.parse::<i64>().ok());
                let row = task.overrides["containerOverrides"][0]["command"][1].as_str().unwrap_or_default();
                let run = Run {
                    job: number("ROWCALL_JOB").unwrap_or_default(),
                    attempt: number("ROWCALL_ATTEMPT").unwrap_or_default() as i32,
                    launch: task.client_token.clone(),
                };
                ledger.note(row, Event::Begun(run.clone()));
                let plan = Plan {
                    row: row.to_owned(),
                    run,
                    token: task.environment("ROWCALL_TOKEN").unwrap_or_default().to_owned(),
                    due: None,
                    lasts: Duration::from_millis(rng.random_range(50..1500)),
                    code: i32::from(rng.random_bool(0.15)),
                    reports: rng.random_bool(0.3),
                };
                plans.insert(task.arn.clone(), plan);
            }
        }
        let mut over = Vec::new();
        for (arn, plan) in &mut plans {
            let task = aws.task(arn);
            if task.state() == "STOPPED" {
                over.push((arn.clone(), 143));
            } else if task.state() == "RUNNING"
                && *plan.due.get_or_insert_with(|| Instant::now() + plan.lasts) <= Instant::now()
            {
                over.push((arn.clone(), plan.code));
            }
        }
        for (arn, code) in over {
            let Some(plan) = plans.remove(&arn) else { continue };
            if code == 143 {
                ledger.note(&plan.row, Event::Ended(plan.run, 143));
                continue;
            }
            let (aws, ledger, url) = (Arc::clone(&aws), Arc::clone(&ledger), url.clone());
            tokio::spawn(async move {
                let reported = !plan.reports || report(&url, &plan.token, code).await;
                let code = if reported { code } else { 1 };
                ledger.note(&plan.row, Event::Ended(plan.run, code));
                if aws.task(&arn).state() != "STOPPED" {
                    aws.finish(&arn, code);
                }
            });
        }
    }
}

/// A container that speaks for itself; whether it was heard.
async fn report(url: &str, token: &str, code: i32) -> bool {
    let speaking = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.execute("select * from rowcall.task_start($1, 'a container')", &[&token]).await?;
        match code {
            0 => client.execute("select rowcall.task_succeed($1, '{\"by\": \"cloud\"}')", &[&token]).await,
            _ => client.execute("select rowcall.task_fail($1, 'it failed')", &[&token]).await,
        }
    };
    matches!(tokio::time::timeout(Duration::from_secs(8), speaking).await, Ok(Ok(_)))
}

/// Scripts one thing that goes wrong with a next call; says what.
pub fn trouble(aws: &ScriptedAws, rng: &mut StdRng) -> String {
    let action = ["RunTask", "RunTask", "DescribeTasks", "DescribeTasks", "ListTasks", "StopTask"];
    let action = action[rng.random_range(0..action.len())];
    let slow = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&slow);
    let fault = match (action, rng.random_range(0..14)) {
        (_, 0) => Fault::throttled(),
        (_, 1) => Fault::server_error(),
        (_, 2) => Fault::done_then_server_error(),
        (_, 3) => Fault::Reset,
        (_, 4) => Fault::DoneThenReset,
        (_, 5) => Fault::Garbage,
        (_, 6) => Fault::Hold(gate),
        (_, 7) => Fault::DoneThenHold(gate),
        ("RunTask", 8) => Fault::failures("RESOURCE:CPU"),
        ("RunTask", 9) => Fault::failures_but("Capacity is unavailable at this time.", Ghost::AtOnce),
        ("RunTask", 10) => Fault::Missing(rng.random_range(1..4)),
        ("RunTask", 11) => Fault::Absent(rng.random_range(1..4)),
        ("RunTask", 12) => Fault::Unlisted(rng.random_range(1..4)),
        ("RunTask", _) => Fault::throttled_in_disguise(),
        _ => Fault::Error(Refusal::new(400, "ThrottlingException", "Rate exceeded")),
    };
    let told = format!("AWS: {action}: {fault:?}").chars().take(90).collect();
    if matches!(fault, Fault::Hold(_) | Fault::DoneThenHold(_)) {
        let time = Duration::from_millis(rng.random_range(200..4000));
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            slow.add_permits(1);
        });
    }
    aws.script(action, [fault]);
    told
}
