//! A story in which everything happens that the daemon can meet with the process runner, and what must be true at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::support::{TestDatabase, log_to, rowcall};

/// Tasks: a name, which in capitals is the status that asks for it; what its program does after it has said that it runs
/// (TASK is `rowcall-task`, HERE the story's directory); more columns.
const TASKS: [(&str, &str, (&str, &str)); 12] = [
    ("plain", "true", ("", "")),
    ("flaky", "[ $ROWCALL_ATTEMPT -gt 1 ]", ("", "")),
    ("keyed", "true", ("concurrency_key, max_running_per_key", "'{{ row.attributes.customer }}', 1")),
    ("capped", "true", ("max_running", "1")),
    ("told", "TASK exec -- sh -c '[ $ROWCALL_ATTEMPT -gt 1 ]'", ("", "")),
    (
        "said",
        "set -e; TASK start > /dev/null; TASK progress 0.5 half; [ $ROWCALL_ATTEMPT = 1 ] && exec TASK snooze 10ms; TASK succeed",
        ("", ""),
    ),
    (
        "carried",
        "TASK exec --input-dir HERE/in-$0-$ROWCALL_ATTEMPT --input-from row.attributes.source --output-dir HERE/made-$0-$ROWCALL_ATTEMPT \
         --output-to HERE/stored --result-file HERE/result-$0-$ROWCALL_ATTEMPT -- sh -c 'cat $ROWCALL_INPUT_DIR/source > $ROWCALL_OUTPUT_DIR/made'",
        ("", ""),
    ),
    ("slow", "exec sleep 1000", ("", "")),
    ("late", "exec sleep 1000", ("timeout, max_attempts", "'400 milliseconds', 1")),
    ("held", "true", ("", "")),
    ("moved", "true", ("", "")),
    ("broken", "true", ("command", "command || array['{{ row.attributes.needed }}']")),
];

/// Rows of a status, and how each must end: its status, and the outcome of its job.
const ROWS: [(&str, i64, &str, &str); 13] = [
    ("PLAIN", 14, "PROCESSED", "SUCCEEDED"),
    ("FLAKY", 2, "PROCESSED", "SUCCEEDED"),
    ("KEYED", 4, "PROCESSED", "SUCCEEDED"),
    ("CAPPED", 3, "PROCESSED", "SUCCEEDED"),
    ("TOLD", 1, "PROCESSED", "SUCCEEDED"),
    ("SAID", 1, "PROCESSED", "SUCCEEDED"),
    ("CARRIED", 1, "PROCESSED", "SUCCEEDED"),
    ("SLOW", 1, "ERROR", "CANCELLED"),
    ("LATE", 1, "ERROR", "TIMED_OUT"),
    ("HELD", 1, "PROCESSED", "SUCCEEDED"),
    ("MOVED", 1, "DELETED", "OBSOLETE"),
    ("BROKEN", 1, "PROCESSED", "SUCCEEDED"),
    ("REFUSED", 1, "PROCESSED", "SUCCEEDED"),
];

/// So many rows of each status in this list are inserted one by one while a daemon runs.
const SINGLES: i64 = 2;
const SINGLE: [&str; 2] = ["PLAIN", "KEYED"];

/// What is carried from one directory to another.
const CARRIED: &str = "whole\n";

const NOTHING_OPEN: &str = "not exists (select from rowcall.jobs)";

pub struct Story {
    db: TestDatabase,
    directory: tempfile::TempDir,
    /// For the daemon's environment.
    wish: Vec<(&'static str, String)>,
}

impl Story {
    /// The places to which it comes.
    pub async fn noted() -> BTreeSet<String> {
        let mut story = Self::new().await;
        let log = story.path("places");
        story.wish.push(("CRASH_LOG", log.display().to_string()));
        story.told().await;
        std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
    }

    /// With a death at this place. Returns whether it came to that: to some places a story comes by chance.
    pub async fn dies_at(place: String) -> bool {
        let mut story = Self::new().await;
        let once = story.path("once");
        story.wish.push(("CRASH_ONCE", once.display().to_string()));
        story.wish.push(("CRASH_AT", place.clone()));
        story.told().await;
        once.exists()
    }

    async fn new() -> Self {
        Self { db: TestDatabase::new().await, directory: tempfile::tempdir().unwrap(), wish: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn daemon(&self) -> Child {
        let mut command = rowcall(&self.db.url, &self.path("state"));
        command.envs(self.wish.iter().map(|(name, value)| (name, value)));
        let passed = "CRASH_AT, CRASH_ONCE, CRASH_LOG";
        command.env("ROWCALL_RUNNERS__PROCESS__PASS_ENVIRONMENT", passed);
        command.env("ROWCALL_DISPATCHER__JANITOR_INTERVAL", "300ms");
        command.env("ROWCALL_DISPATCHER__POLL_INTERVAL", "300ms");
        log_to(&mut command, self.directory.path());
        command.arg("serve").spawn().unwrap()
    }

    async fn prepared(&self) {
        let ran = self.path("ran");
        std::fs::write(self.path("source"), CARRIED).unwrap();
        let insert = "insert into rowcall.parameters (name, on_status, runner, target, command, backoff, backoff_max)
            values ($1, upper($1), 'process', $2, array['-c', $3, '{{ row.id }}'], '10 milliseconds', '10 milliseconds')";
        for (name, body, (columns, values)) in TASKS {
            let body = body.replace("TASK", env!("CARGO_BIN_EXE_rowcall-task"));
            let body = body.replace("HERE/", &format!("{}/", self.directory.path().display()));
            let script = format!("echo $0 $ROWCALL_ATTEMPT >> {}; {body}", ran.display());
            self.db.client.execute(insert, &[&name, &"/bin/sh", &script]).await.unwrap();
            for (column, value) in
                columns.split(", ").zip(values.split(", ")).filter(|(column, _)| !column.is_empty())
            {
                self.db
                    .run(&format!("update rowcall.parameters set {column} = {value} where name = '{name}'"))
                    .await;
            }
        }
        let script = format!("echo $0 $ROWCALL_ATTEMPT >> {}", ran.display());
        self.db.client.execute(insert, &[&"refused", &"/opt/none", &script]).await.unwrap();
        self.db
            .run(
                "create table public.notes (id bigint generated always as identity primary key, status text, name text);
                 select rowcall.watch('public.notes', external_id_column => 'name')",
            )
            .await;
        let noted = "insert into rowcall.parameters (name, source_table, on_status, runner, target, command, backoff, backoff_max, result_column)
            values ('noted', 'public.notes', 'NOTED', 'process', '/bin/sleep', '{0.1}', '10 milliseconds', '10 milliseconds', null)";
        self.db.run(noted).await;
        self.db.run("select rowcall.pause()").await;
        for (status, rows, ..) in ROWS {
            let source = format!("'file://{}'", self.path("source").display());
            let attributes =
                format!("jsonb_build_object('asked', status, 'customer', g % 2, 'source', {source})");
            self.db
                .run(&format!(
                    "insert into rowcall.files (status, attributes) select status, {attributes}
                     from generate_series(1, {rows}) g, (values ('{status}')) s(status)"
                ))
                .await;
        }
        self.db.run("update rowcall.files set status = 'DELETED' where status = 'MOVED'").await;
        self.db.run("select rowcall.resume()").await;
    }

    /// Waits until something is true, whichever daemon makes it so.
    async fn until(&self, daemon: &mut Child, condition: &str) {
        let coming = self.db.until(condition);
        tokio::pin!(coming);
        loop {
            tokio::select! {
                () = &mut coming => return,
                _ = daemon.wait() => *daemon = self.daemon(),
            }
        }
    }

    async fn told(&self) {
        self.prepared().await;
        let holder = self.db.connect().await;
        holder
            .batch_execute("begin; select from rowcall.files where status = 'HELD' for update")
            .await
            .unwrap();
        // The first leaves something to adopt.
        let mut daemon = self.daemon();
        self.until(
            &mut daemon,
            "exists (select from rowcall.attempts where task = 'slow' and external_id is not null)",
        )
        .await;
        self.until(&mut daemon, "exists (select from rowcall.history where task = 'plain')").await;
        // It may just have died.
        let _ = daemon.kill().await;
        let stray = self.leave_a_stray().await;
        daemon = self.daemon();
        self.until(
            &mut daemon,
            "exists (select from rowcall.jobs where task = 'held' and state = 'waiting')",
        )
        .await;
        holder.batch_execute("rollback").await.unwrap();
        for status in SINGLE {
            for customer in 0..SINGLES {
                self.db
                    .run(&format!(
                        "insert into rowcall.files (status, attributes)
                         values ('{status}', jsonb_build_object('asked', '{status}', 'customer', {customer}))"
                    ))
                    .await;
            }
        }
        self.until(
            &mut daemon,
            "exists (select from rowcall.jobs where task = 'broken' and state = 'blocked')",
        )
        .await;
        self.db.run("update rowcall.files set attributes = attributes || '{\"needed\": \"yes\"}' where status = 'BROKEN'").await;
        self.until(
            &mut daemon,
            "exists (select from rowcall.jobs where task = 'refused' and state = 'blocked')",
        )
        .await;
        self.db.run("update rowcall.parameters set target = '/bin/sh' where name = 'refused'").await;
        self.until(&mut daemon, "exists (select from rowcall.attempts where task = 'slow' and external_id is not null and ended_at is null)").await;
        self.db.run("select rowcall.cancel(id, 'not needed') from rowcall.jobs where task = 'slow'").await;
        self.until(&mut daemon, NOTHING_OPEN).await;
        // These come while nothing else does; a note to a table with one task, whose rows keep the runner's name of their attempt.
        let keyed = "insert into rowcall.files (status, attributes) values ('KEYED', '{\"asked\": \"KEYED\", \"customer\": 7}')";
        for alone in [keyed, "insert into public.notes (status) values ('NOTED')"] {
            self.db.run(alone).await;
            self.until(&mut daemon, NOTHING_OPEN).await;
        }
        if let Some(id) = daemon.id() {
            let _ = kill(Pid::from_raw(id.try_into().unwrap()), Signal::SIGTERM);
        }
        daemon.wait().await.unwrap();
        assert_eq!(self.db.one::<String>("select status from public.notes").await, "PROCESSED");
        assert!(!stray.exists(), "{} stays", stray.display());
        self.is_whole().await;
    }

    /// The file of an attempt that is over, as a daemon leaves it that dies before it has removed it, after some days.
    async fn leave_a_stray(&self) -> PathBuf {
        let key =
            "select launch_key from rowcall.attempts where task = 'plain' and ended_at is not null limit 1";
        let key: String = self.db.one(key).await;
        let stray = self.path("state").join(format!("{key}.attempt"));
        std::fs::write(&stray, "ended             0\n").unwrap();
        let file = std::fs::File::options().write(true).open(&stray).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(72)).unwrap();
        stray
    }

    /// What must be true now.
    async fn is_whole(&self) {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        for (asked, rows, status, outcome) in ROWS {
            let told: String = self
                .db
                .one(&format!(
                    "select string_agg(distinct concat_ws(' ', f.status, h.outcome), ', ') || ' ' || count(*)
                     from rowcall.files f left join rowcall.history h on h.row_key = jsonb_build_object('id', f.id) and h.source_table = 'rowcall.files'::regclass
                     where f.attributes->>'asked' = '{asked}'"
                ))
                .await;
            let rows = rows + if SINGLE.contains(&asked) { SINGLES } else { 0 } + i64::from(asked == "KEYED");
            assert_eq!(told, format!("{status} {outcome} {rows}"), "{asked}\n{log}");
        }
        assert!(
            !self.db.one::<bool>("select exists (select from rowcall.attempts where ended_at is null)").await,
            "{log}"
        );
        // What was carried is whole, and nothing else is beside it.
        let stored: Vec<_> =
            std::fs::read_dir(self.path("stored")).unwrap().map(|e| e.unwrap().file_name()).collect();
        let made = std::fs::read_to_string(self.path("stored/made")).unwrap();
        assert_eq!(
            (made.as_str(), stored.iter().any(|name| name == "made")),
            (CARRIED, true),
            "{stored:?}\n{log}"
        );
        // Each attempt has run once at most; and, but for what was stopped or lost, once.
        let mut ran: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in std::fs::read_to_string(self.path("ran")).unwrap().lines() {
            let (row, attempt) = line.split_once(' ').unwrap();
            *ran.entry((row.to_owned(), attempt.to_owned())).or_default() += 1;
        }
        let twice: Vec<_> = ran.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "ran more than once: {twice:?}\n{log}");
        let attempts: Vec<String> = self
            .db
            .one(
                "select array_agg(concat_ws(' ', row_key->>'id', number) order by id) from rowcall.attempts
                 where outcome in ('SUCCEEDED', 'TASK_FAILED')",
            )
            .await;
        for attempt in attempts {
            let (row, number) = attempt.split_once(' ').unwrap();
            assert!(
                ran.contains_key(&(row.to_owned(), number.to_owned())),
                "{attempt} ended and never ran\n{log}"
            );
        }
    }
}
