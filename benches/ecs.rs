//! What following 10,000 running tasks costs: calls a sweep, the daemon's memory, and the time from STOPPED to the
//! settled row. AWS is played by the endpoint of the tests, in this process; the daemon is the real program.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::aws::ScriptedAws;
use super::{Bench, percentile};

const TASKS: usize = 10_000;
const ENDS: usize = 200;

pub async fn run(bench: Bench) -> anyhow::Result<()> {
    let aws = ScriptedAws::start().await;
    aws.define("loader", serde_json::json!({}));
    aws.auto_run(true);
    bench
        .client
        .batch_execute(
            r#"insert into rowcall.parameters (name, on_status, runner, target, timeout, settings) values
               ('loader', 'REGISTERED', 'ecs', 'loader', '1 day', '{"cluster": "jobs", "subnets": ["subnet-1"]}')"#,
        )
        .await?;
    let daemon = Daemon::start(&bench.url, &aws)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = daemon.memory()?;

    let began = Instant::now();
    let insert = "insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, $1::bigint)";
    bench.client.execute(insert, &[&(TASKS as i64)]).await?;
    until(&bench, "select count(*) from rowcall.attempts where begun_at is not null", TASKS as i64).await?;
    let launched = began.elapsed();
    println!("ecs, {TASKS} running tasks");
    println!(
        "  launched and seen to run in {:>16.0} s  ({:.0}/s)",
        launched.as_secs_f64(),
        TASKS as f64 / launched.as_secs_f64()
    );

    // One sweep looks at each task once; ends are looked for in several.
    let (calls, looks) = described(&aws);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let (calls, looks) = (described(&aws).0 - calls, described(&aws).1 - looks);
    println!("  DescribeTasks calls a sweep  {:>15.1}", calls as f64 * TASKS as f64 / looks as f64);
    println!("  seconds between sweeps, tasks 1 to 3 minutes old {:>.1}", 60.0 * TASKS as f64 / looks as f64);
    println!("  memory of the daemon, idle and then  {idle} MiB, {} MiB", daemon.memory()?);

    let long =
        ends(&bench, &aws, &aws.tasks().iter().take(ENDS).map(|t| t.arn.clone()).collect::<Vec<_>>()).await?;
    println!(
        "  STOPPED to settled row, tasks {:.0} s old: p50 {:.1} s, p99 {:.1} s",
        began.elapsed().as_secs_f64(),
        percentile(&long, 0.5),
        percentile(&long, 0.99)
    );
    bench.client.execute(insert, &[&(ENDS as i64)]).await?;
    until(&bench, "select count(*) from rowcall.attempts where begun_at is not null", (TASKS + ENDS) as i64)
        .await?;
    let young: Vec<String> = aws.tasks().iter().skip(TASKS).map(|t| t.arn.clone()).collect();
    let short = ends(&bench, &aws, &young).await?;
    println!(
        "  STOPPED to settled row, tasks some seconds old: p50 {:.1} s, p99 {:.1} s",
        percentile(&short, 0.5),
        percentile(&short, 0.99)
    );
    let calls_made = aws.count("RunTask");
    let tasks = aws.count_tasks(|_| true);
    anyhow::ensure!(tasks == TASKS + ENDS, "{tasks} tasks exist");
    println!("  RunTask calls {calls_made}, tasks {tasks}, attempts {}", TASKS + ENDS);
    Ok(())
}

/// Ends tasks one after the other; seconds until each one's attempt was settled, sorted.
async fn ends(bench: &Bench, aws: &ScriptedAws, arns: &[String]) -> anyhow::Result<Vec<f64>> {
    let mut stopped = Vec::new();
    for arn in arns {
        let now: f64 =
            bench.client.query_one("select extract(epoch from clock_timestamp())::float8", &[]).await?.get(0);
        aws.finish(arn, 0);
        stopped.push(now);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let settled = "select extract(epoch from ended_at)::float8 from rowcall.attempts where external_id = $1";
    let mut seconds = Vec::new();
    for (arn, stopped) in arns.iter().zip(stopped) {
        loop {
            if let Some(ended) = bench.client.query_one(settled, &[arn]).await?.get::<_, Option<f64>>(0) {
                seconds.push(ended - stopped);
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

/// DescribeTasks calls so far, and the tasks they asked for.
fn described(aws: &ScriptedAws) -> (usize, usize) {
    let calls = aws.calls("DescribeTasks");
    let asked = |body: serde_json::Value| body["tasks"].as_array().map_or(0, Vec::len);
    (calls.len(), calls.iter().map(|call| asked(call.json())).sum())
}

async fn until(bench: &Bench, count: &str, wanted: i64) -> anyhow::Result<()> {
    while bench.client.query_one(count, &[]).await?.get::<_, i64>(0) < wanted {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

struct Daemon(Child);

impl Daemon {
    fn start(url: &str, aws: &ScriptedAws) -> anyhow::Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_rowcall"))
            .arg("serve")
            .envs([
                ("DATABASE_URL", url),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", "eu-west-1"),
                ("ROWCALL_AWS__ENDPOINT", aws.url()),
                ("ROWCALL_RUNNERS__ECS__ENABLED", "true"),
                ("ROWCALL_RUNNERS__ECS__CLUSTERS", "jobs"),
                ("ROWCALL_RUNNERS__ECS__SUBNETS", "*"),
                ("ROWCALL_RUNNERS__ECS__TASK_DEFINITIONS", "loader"),
                // Nobody needs to wait 500 s for this benchmark.
                ("ROWCALL_RUNNERS__ECS__RUN_TASK_RATE", "1000"),
                ("ROWCALL_RUNNERS__ECS__MAX_RUNNING", "20000"),
                ("ROWCALL_LOG__LEVEL", "warn"),
            ])
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Resident memory, in MiB.
    fn memory(&self) -> anyhow::Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        Ok(line.split_whitespace().nth(1).unwrap_or_default().parse::<usize>()? / 1024)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
