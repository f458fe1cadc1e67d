//! The tasks of the chaos, and what each may come to. Every program writes down that it begins and how it ends.

use std::path::Path;

/// One row of `parameters`; its status is its name in capitals.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub runner: &'static str,
    /// A shell script; TASK is `rowcall-task`, SQL runs a statement as an application's login.
    body: &'static str,
    columns: &'static str,
    values: &'static str,
    /// How its jobs may end if neither operator nor client has acted on them.
    pub ends: &'static [&'static str],
    /// Of a hundred rows, so many ask for it.
    pub share: u32,
    /// Whether the exit code alone tells its success.
    pub by_exit_code: bool,
}

// One on ECS or Docker is LOST while no daemon lives that offers its runner.
const SUCCESS: &[&str] = &["SUCCEEDED"];

/// A first attempt that fails is made up for by the next, however many are lost in between.
pub const KINDS: [Kind; 10] = [
    Kind { body: "true", share: 34, ..process("plain") },
    Kind { body: "sleep 0.$(($ROWCALL_JOB % 10))", share: 12, ..process("brief") },
    Kind { body: "[ $ROWCALL_ATTEMPT -gt 1 ]", share: 8, ..process("flaky") },
    Kind { body: "exit 3", share: 6, ends: &["TASK_FAILED"], ..process("failing") },
    Kind {
        body: "TASK exec -- sh -c '[ $ROWCALL_ATTEMPT -gt 1 ]'",
        share: 8,
        by_exit_code: false,
        ..process("told")
    },
    // It does not ask again where it is not heard, as a task of a few lines would not.
    Kind {
        body: "set -e; TASK start > /dev/null; TASK progress 0.5 half; TASK succeed --result \"{\\\"by\\\": $ROWCALL_ATTEMPT}\"",
        share: 8,
        by_exit_code: false,
        ends: &["SUCCEEDED", "TASK_FAILED"],
        ..process("said")
    },
    // It finishes its row itself, and knows nothing of us.
    Kind {
        body: "SQL \"update rowcall.files set status = 'PROCESSED' where attributes->>'ref' = '$0' and status = 'PROCESSING'\"",
        share: 5,
        by_exit_code: false,
        ends: &["SUCCEEDED", "TASK_FAILED"],
        ..process("own")
    },
    Kind {
        body: "exec sleep 1000",
        columns: ", timeout, max_attempts",
        values: ", '2 seconds', 1",
        share: 3,
        ends: &["TIMED_OUT"],
        ..process("late")
    },
    Kind { columns: ", max_running", values: ", 2", body: "sleep 0.1", share: 6, ..process("capped") },
    Kind { runner: "ecs", share: 10, ends: &["SUCCEEDED", "TASK_FAILED", "LOST"], ..process("cloud") },
];

/// On Docker, where there is an engine.
pub const CONTAINER: Kind =
    Kind { runner: "docker", body: "sleep 0.2", share: 4, ends: &["SUCCEEDED", "LOST"], ..process("boxed") };

const fn process(name: &'static str) -> Kind {
    Kind {
        name,
        runner: "process",
        body: "true",
        columns: "",
        values: "",
        ends: SUCCESS,
        share: 0,
        by_exit_code: true,
    }
}

impl Kind {
    /// Its row of `parameters`. The ledger is a file to which programs append; `sql` a program that runs a statement.
    pub fn parameters(&self, ledger: &Path, sql: &Path, image: Option<&str>) -> String {
        let body = self
            .body
            .replace("TASK", env!("CARGO_BIN_EXE_rowcall-task"))
            .replace("SQL", &sql.display().to_string());
        let who = "$0 $ROWCALL_JOB $ROWCALL_ATTEMPT ${ROWCALL_LAUNCH:-$(hostname)}";
        let ledger = ledger.display();
        let script = format!(
            "echo begin {who} >> {ledger}; ( {body} ); code=$?; echo end {who} $code >> {ledger}; exit $code"
        );
        let script = script.replace('\'', "''");
        let (target, command, settings) = match self.runner {
            "ecs" => (
                "file-loader".to_owned(),
                "array['load', '{{ row.attributes.ref }}']".to_owned(),
                r#"{"cluster": "jobs", "subnets": ["subnet-1"]}"#,
            ),
            "docker" => (
                image.unwrap_or("none:1").to_owned(),
                format!("array['/bin/sh', '-c', '{script}', '{{{{ row.attributes.ref }}}}']"),
                r#"{"mounts": [{"source": "/tmp", "target": "/tmp"}], "network": "none", "pull": "never"}"#,
            ),
            _ => (
                "/bin/sh".to_owned(),
                format!("array['-c', '{script}', '{{{{ row.attributes.ref }}}}']"),
                "{}",
            ),
        };
        let Self { name, runner, columns, values, .. } = self;
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target, command, settings, backoff, backoff_max, launch_timeout{columns})
             values ('{name}', upper('{name}'), '{runner}', '{target}', {command}, '{settings}', '50 milliseconds', '500 milliseconds',
                 '20 seconds'{values});"
        )
    }
}
