//! Nothing that an engine answers about one container stops another's being followed: the worst in the place of each value,
//! one at a time, and beside the container that it is about a neighbour whose end must be seen.

use std::sync::Arc;

use rowcall::runners::{Attempt, Observation, Runner};
use serde_json::Value;
use tokio::sync::mpsc;

use super::answers::{places, told, worst};
use crate::conformance::docker::{Docker, docker, runner};
use crate::conformance::{Case, Subject as _, asked, observed};
use crate::docker::spoiler::{Spoiler, honest};
use crate::support::aws::spoil;

/// Scripts whose containers the engine tells nonsense of: one that runs on, and one that has ended.
const VICTIMS: [&str; 2] = ["exec sleep 1000", "exit 7"];

struct Engine {
    case: Case<Docker>,
    spoiler: Spoiler,
}

impl Engine {
    async fn new() -> Self {
        Self { case: Case::new().await, spoiler: Spoiler::new().await }
    }

    /// A runner that has seen nothing yet.
    fn runner(&self) -> Arc<dyn Runner> {
        let mut settings = self.case.subject.settings(&self.case.db.url);
        settings.runners.docker.host = self.spoiler.host();
        let (ends, _) = mpsc::unbounded_channel();
        Arc::new(runner(&settings, ends))
    }

    /// A container of this script.
    async fn launched(&self, script: &str) -> Attempt {
        // The place tells whose containers are to be removed in the end.
        let attempt = self.case.attempt(&format!(": {}; {script}", self.case.subject.place().display()));
        self.runner().launch(&attempt, &[]).await.unwrap();
        if script.starts_with("exit") {
            docker(&["wait", &attempt.launch_key]);
        }
        attempt
    }
}

/// Puts the worst in each place of what `answer` is about, which `find` finds in the answers to calls whose path ends like
/// `path`, and looks whether the neighbour's end is seen.
async fn nothing_stops_a_neighbour(
    engine: &Engine,
    victim: &Attempt,
    neighbour: &Attempt,
    (path, answer): (&str, Value),
    find: for<'a> fn(&'a mut Value, &str) -> Option<&'a mut Value>,
) {
    let (path, key) = (path.replace("KEY", &victim.launch_key), victim.launch_key.as_str());
    let before = observed(&engine.runner(), victim).await;
    let mut tried = 0;
    for at in places(&answer) {
        for value in worst() {
            let case = format!("{path}{at} = {}", told(value.as_ref()));
            let (key, place) = (key.to_owned(), at.clone());
            engine.spoiler.spoil(&path, move |answer| {
                spoil(find(answer, &key).expect("the victim is in every answer"), &place, value.clone());
            });
            let runner = engine.runner();
            let seen = runner.observe(&[victim.clone().into(), neighbour.clone().into()]).await;
            assert!(
                matches!(&seen[1], Observation::Ended(end) if end.exit_code == Some(5)),
                "{case}: {:?}",
                seen[1]
            );
            assert!(engine.spoiler.mend() > 0, "{case}: nothing was asked");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried} values were tried");
    assert_eq!(format!("{:?}", observed(&engine.runner(), victim).await), format!("{before:?}"));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn nothing_in_a_list_of_containers_stops_a_neighbour() {
    let engine = Engine::new().await;
    let neighbour = engine.launched("exit 5").await;
    for script in VICTIMS {
        let victim = engine.launched(script).await;
        let filters = format!("%7B%22label%22:%5B%22rowcall.key={}%22%5D%7D", victim.launch_key);
        let entry = honest(&format!("/containers/json?all=true&filters={filters}")).await[0].take();
        nothing_stops_a_neighbour(&engine, &victim, &neighbour, ("/containers/json", entry), |list, key| {
            let name = format!("/{key}");
            list.as_array_mut()?.iter_mut().find(|entry| entry["Names"][0] == name.as_str())
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn nothing_that_is_told_of_a_container_stops_a_neighbour() {
    let engine = Engine::new().await;
    let (neighbour, victim) = (engine.launched("exit 5").await, engine.launched(VICTIMS[1]).await);
    let told = honest(&format!("/containers/{}/json", victim.launch_key)).await;
    nothing_stops_a_neighbour(&engine, &victim, &neighbour, ("/KEY/json", told), |told, _| Some(told)).await;
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn nothing_that_is_told_of_a_launch_is_a_second_container() {
    let engine = Engine::new().await;
    for at in ["/Id", "/Warnings", "/Warnings/0"] {
        for value in worst() {
            let case = format!("{at} = {}", told(value.as_ref()));
            let runner = engine.runner();
            let attempt =
                engine.case.attempt(&format!(": {}; exit 5", engine.case.subject.place().display()));
            engine.spoiler.spoil("/containers/create", move |answer| {
                answer["Warnings"] = serde_json::json!(["one"]);
                spoil(answer, at, value.clone());
            });
            let launched = runner.launch(&attempt, &[]).await;
            assert!(engine.spoiler.mend() > 0, "{case}");
            // The repetition finds what was made.
            if launched.is_err() {
                let again = Attempt { in_doubt: true, ..attempt.clone() };
                runner.launch(&again, &[]).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
            }
            let (_, mut ended) = mpsc::unbounded_channel();
            assert_eq!(asked(&runner, &mut ended, &attempt).await.exit_code, Some(5), "{case}");
            assert_eq!(crate::conformance::docker::containers(&attempt).lines().count(), 1, "{case}");
        }
    }
}
