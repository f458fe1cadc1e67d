//! One list of words, three times: the enum of the program, the domain of the schema, the page of the manual.

use std::fmt::Write as _;

use rowcall::job::{
    Cause, Completion, JobState, OnMoved, Outcome, ReportKind, RetryOn, RunnerName, StatusRunningBy,
};
use rowcall::runners::enabled;
use rowcall::settings::{Sources, did_you_mean, load};

use crate::support::TestDatabase;

/// Domain, what it is, and the words of the enum with their meanings.
type Words = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

macro_rules! of {
    ($words:ty) => {
        <$words>::ALL.iter().map(|word| (word.as_str(), word.meaning())).collect()
    };
}

fn all() -> [Words; 8] {
    [
        ("outcome", "How an attempt or a job ended", of!(Outcome)),
        ("cause", "Why an attempt ended", of!(Cause)),
        ("job_state", "Where an unsettled job is", of!(JobState)),
        ("report", "How a task reports its end", of!(ReportKind)),
        ("runner", "Where attempts run", of!(RunnerName)),
        ("completion", "Who decides that an attempt without a report was a success", of!(Completion)),
        ("status_running_by", "Who gives a row its running status", of!(StatusRunningBy)),
        ("on_moved", "What becomes of a task whose row a user moves on", of!(OnMoved)),
    ]
}

#[tokio::test]
async fn every_domain_has_the_words_of_its_enum() {
    let db = TestDatabase::new().await;
    for (domain, _, words) in all() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let allowed: Vec<String> =
            db.client.query_one("select rowcall_internal.words_of($1)", &[&domain]).await.unwrap().get(0);
        assert_eq!(allowed, words, "{domain}");
    }
    let domains =
        "select count(*) from pg_type where typtype = 'd' and typnamespace = 'rowcall'::regnamespace";
    assert_eq!(db.one::<i64>(domains).await, all().len() as i64, "a domain without an enum");
}

#[tokio::test]
async fn an_unknown_word_is_refused_wherever_it_is_written() {
    let db = TestDatabase::new().await;
    db.run("insert into rowcall.files default values").await;
    for column in ["jobs.state", "history.outcome", "history.cause", "attempts.outcome", "attempts.report"] {
        let (table, column) = column.split_once('.').unwrap();
        let kind: String = db
            .one(&format!(
                "select format_type(atttypid, null) from pg_attribute
                 where attrelid = 'rowcall.{table}'::regclass and attname = '{column}'"
            ))
            .await;
        assert!(kind.starts_with("rowcall."), "{table}.{column} is {kind}");
    }
    let error = db.client.execute("select 'nohow'::rowcall.cause", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23514");
}

#[tokio::test]
async fn outcomes_have_the_same_consequences_in_sql_and_rust() {
    let db = TestDatabase::new().await;
    let rows = db.client.query("select * from rowcall_internal.outcomes()", &[]).await.unwrap();
    assert_eq!(rows.len(), Outcome::ALL.len());
    for (row, outcome) in rows.iter().zip(Outcome::ALL) {
        assert_eq!(Outcome::parse(row.get("outcome")), Ok(*outcome));
        assert_eq!(row.get::<_, bool>("is_failure"), outcome.is_failure(), "{outcome}");
        assert_eq!(row.get::<_, bool>("spends_attempt"), outcome.spends_attempt(), "{outcome}");
        assert_eq!(row.get::<_, bool>("retryable"), outcome.is_retryable(), "{outcome}");
    }
    let default = "select column_default from information_schema.columns
         where table_schema = 'rowcall' and table_name = 'parameters' and column_name = 'retry_on'";
    let retried = format!("'{{{}}}'::text[]", RetryOn::default().0.join(","));
    assert_eq!(db.one::<String>(default).await, retried);
}

#[test]
fn every_runner_of_the_program_has_a_word() {
    let mut settings = load(&Sources::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let runners = &mut settings.runners;
    state.path().clone_into(&mut runners.process.state_dir);
    (runners.process.enabled, runners.docker.enabled) = (true, true);
    (runners.ecs.enabled, runners.lambda.enabled) = (true, true);
    let (ends, _) = tokio::sync::mpsc::unbounded_channel();
    let made: Vec<RunnerName> = enabled(&settings, &ends).unwrap().iter().map(|r| r.name()).collect();
    assert_eq!(made.len(), RunnerName::ALL.len());
}

#[tokio::test]
async fn the_manual_says_what_a_target_is_for_each_runner() {
    let db = TestDatabase::new().await;
    let help: String =
        db.one("select help from rowcall.parameters_columns() where \"column\" = 'target'").await;
    for runner in RunnerName::ALL {
        assert!(help.contains(runner.as_str()), "{runner}: {help}");
    }
}

/// `ROWCALL_WRITE_DOCS=1 cargo test` writes the page anew.
#[test]
fn the_page_about_words_is_current() {
    let mut page = "# Words\n\nThe words that Rowcall writes into its tables and reads from them. Each list is a domain in the \
         schema `rowcall`.\nThis page is printed from the program.\n"
        .to_owned();
    let yes = |holds| if holds { "yes" } else { "" };
    for (domain, about, words) in all() {
        write!(page, "\n## {about}: `{domain}`\n\n").unwrap();
        if domain == "outcome" {
            page.push_str("| word | means | the row gets a message | counts against `max_attempts` | `retry_on` may name it |\n|---|---|---|---|---|\n");
            for o in Outcome::ALL {
                let (failure, spends, retryable) = (o.is_failure(), o.spends_attempt(), o.is_retryable());
                writeln!(
                    page,
                    "| `{o}` | {} | {} | {} | {} |",
                    o.meaning(),
                    yes(failure),
                    yes(spends),
                    yes(retryable)
                )
                .unwrap();
            }
            continue;
        }
        page.push_str("| word | means |\n|---|---|\n");
        for (word, meaning) in words {
            writeln!(page, "| `{word}` | {meaning} |").unwrap();
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/words.md");
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        page,
        "docs/words.md is not what the enums say"
    );
}

#[tokio::test]
async fn a_meant_word_is_the_same_in_sql_and_rust() {
    let db = TestDatabase::new().await;
    let words = ["cluster", "container", "container_cpu", "subnets", "mode", "max_running", "é", ""];
    let typed = [
        "clustr",
        "clutser",
        "clusters",
        "lcustre",
        "conatiner",
        "container_cp",
        "subnet",
        "mod",
        "edom",
        "max_runing",
        "max_runnign_",
        "mxrnning",
        "e",
        "",
        "x",
        "xyz",
        "cluster",
        "CLUSTER",
        &"c".repeat(64),
    ];
    for typed in typed {
        let sql = "select coalesce('; did you mean ' || rowcall_internal.similar_word($1, $2) || '?', '')";
        let in_sql: String = db.client.query_one(sql, &[&typed, &words.as_slice()]).await.unwrap().get(0);
        assert_eq!(in_sql, did_you_mean(typed, words), "{typed}");
    }
}
