//! Whole runs on what stands in for AWS: a row is inserted, something runs, and the row, its attempts and its
//! history say how that went.

mod ecs_on_ministack;
mod lambda_on_ministack;
mod loader_on_ministack;
mod on_moto;

use std::time::Duration;

use rowcall::settings::Settings;

use crate::support::aws::REGION;
use crate::support::{TestDatabase, settings};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// How a first attempt ends, and what that means for its job.
#[derive(Clone, Copy)]
struct Expected {
    outcome: &'static str,
    exit_code: Option<i32>,
    /// In the attempt's reason; empty if there is none.
    words: &'static str,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// The job is over.
    Over,
    /// A second attempt succeeds.
    Again,
    /// A second attempt ends like the first, and is the last that is allowed.
    GivenUp,
}

impl Expected {
    const fn retried(outcome: &'static str, exit_code: Option<i32>, words: &'static str) -> Self {
        Self { outcome, exit_code, words, then: Then::Again }
    }

    const fn given_up(outcome: &'static str, exit_code: Option<i32>, words: &'static str) -> Self {
        Self { outcome, exit_code, words, then: Then::GivenUp }
    }

    const fn ends(outcome: &'static str, exit_code: Option<i32>, words: &'static str) -> Self {
        Self { outcome, exit_code, words, then: Then::Over }
    }
}

/// An attempt as the database tells it.
#[derive(Debug)]
struct Attempt {
    launch_key: String,
    external_id: Option<String>,
    outcome: String,
    exit_code: Option<i32>,
    reason: String,
    output: String,
}

/// What became of the only row.
#[derive(Debug)]
struct Told {
    attempts: Vec<Attempt>,
    /// The job's outcome, attempts and message; status, outcome and message of the row.
    job: (String, i32, String),
    row: (String, String, String),
    result: serde_json::Value,
}

impl Told {
    /// Waits for the job's end.
    async fn of(db: &TestDatabase) -> Self {
        db.until("exists (select from rowcall.history) and not exists (select from rowcall.jobs)").await;
        let attempts = "select launch_key, external_id, outcome, exit_code, coalesce(reason, '') as reason,
                coalesce(output, '') as output
            from rowcall.attempts order by number";
        let attempts = db.client.query(attempts, &[]).await.unwrap();
        let whole = "select h.outcome, h.attempt_count, coalesce(h.message, ''), f.status,
                coalesce(f.attributes->>'outcome', ''), coalesce(f.attributes->>'message', ''),
                coalesce(f.attributes->'result', 'null')
            from rowcall.history h, rowcall.files f";
        let whole = db.client.query_one(whole, &[]).await.unwrap();
        Self {
            attempts: attempts
                .iter()
                .map(|row| Attempt {
                    launch_key: row.get("launch_key"),
                    external_id: row.get("external_id"),
                    outcome: row.get("outcome"),
                    exit_code: row.get("exit_code"),
                    reason: row.get("reason"),
                    output: row.get("output"),
                })
                .collect(),
            job: (whole.get(0), whole.get(1), whole.get(2)),
            row: (whole.get(3), whole.get(4), whole.get(5)),
            result: whole.get(6),
        }
    }

    fn must_be(&self, expected: &Expected) {
        let Expected { outcome, exit_code, words, then } = *expected;
        let alike = if then == Then::GivenUp { 2 } else { 1 };
        for attempt in &self.attempts[..alike.min(self.attempts.len())] {
            assert_eq!((attempt.outcome.as_str(), attempt.exit_code), (outcome, exit_code), "{self:#?}");
            assert!(attempt.reason.contains(words), "{self:#?}");
            assert_eq!(attempt.reason.is_empty(), words.is_empty(), "{self:#?}");
        }
        let attempts = if then == Then::Over { 1 } else { 2 };
        assert_eq!((self.attempts.len(), self.job.1), (attempts as usize, attempts), "{self:#?}");
        let last = if then == Then::Again { "SUCCEEDED" } else { outcome };
        assert_eq!(self.job.0, last, "{self:#?}");
        if last == "SUCCEEDED" {
            assert_eq!(self.row.0, "PROCESSED", "{self:#?}");
        } else {
            assert_eq!((self.row.0.as_str(), self.row.1.as_str()), ("ERROR", outcome), "{self:#?}");
            assert!(self.row.2.contains(words) && self.job.2.contains(words), "{self:#?}");
        }
    }
}

/// Settings for an endpoint that may be away for a while. There are two attempts, whoever fails.
fn settings_for(db: &TestDatabase, endpoint: String) -> Settings {
    let mut settings = settings(&db.url);
    settings.dispatcher.lost_after = LIMIT;
    settings.dispatcher.max_runner_failures = 2;
    settings.aws.endpoint = endpoint;
    REGION.clone_into(&mut settings.aws.region);
    settings
}
