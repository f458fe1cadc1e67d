//! What users, DBAs and dispatchers may do, at random.

use proptest::prelude::*;

/// A parameters row.
#[derive(Debug, Clone)]
pub struct Task {
    pub name: String,
    pub on_status: String,
    /// A condition: the row's size must be greater.
    pub larger_than: Option<i32>,
    pub enabled: bool,
    /// Without status words.
    pub observer: bool,
    pub route_order: i32,
}

/// One thing done.
#[derive(Debug, Clone)]
pub enum Step {
    Insert(Vec<(i32, Option<String>, Option<i32>)>),
    Upsert(i32, Option<String>),
    SetStatus(Vec<i32>, Option<String>),
    SetSize(i32, Option<i32>),
    Rekey(i32, i32),
    Delete(i32),
    /// The same as another step, and then the transaction is rolled back.
    RolledBack(Box<Step>),
    PutTask(Task),
    DropTask(String),
    /// Takes whatever may be taken.
    Claim,
    Finish(usize),
    Retry(usize),
    Cancel(usize),
    Rescan,
}

fn key() -> impl Strategy<Value = i32> {
    0..6_i32
}

/// Mostly statuses that some task may have.
fn status() -> impl Strategy<Value = Option<String>> {
    prop_oneof![8 => prop::sample::select(vec!["A", "B", "C"]).prop_map(|s| Some(s.to_owned())),
                2 => Just(Some("rest".to_owned())), 1 => Just(None)]
}

fn task() -> impl Strategy<Value = Task> {
    let words =
        (prop::sample::select(vec!["t1", "t2", "t3", "t4"]), prop::sample::select(vec!["A", "B", "C"]));
    let more = (prop::bool::weighted(0.8), prop::bool::weighted(0.3), 0..3_i32);
    (words, prop::option::weighted(0.4, 0..10_i32), more).prop_map(
        |((name, on_status), larger_than, (enabled, observer, route_order))| Task {
            name: name.to_owned(),
            on_status: on_status.to_owned(),
            larger_than,
            enabled,
            observer,
            route_order,
        },
    )
}

fn by_user() -> impl Strategy<Value = Step> {
    let size = || prop::option::of(0..12_i32);
    prop_oneof![
        4 => prop::collection::vec((key(), status(), size()), 1..5).prop_map(|rows| {
            let mut seen = Vec::new();
            Step::Insert(rows.into_iter().filter(|(key, ..)| !seen.contains(key) && { seen.push(*key); true }).collect())
        }),
        3 => (key(), status()).prop_map(|(key, status)| Step::Upsert(key, status)),
        6 => (prop::collection::btree_set(key(), 1..4), status())
            .prop_map(|(keys, status)| Step::SetStatus(keys.into_iter().collect(), status)),
        2 => (key(), size()).prop_map(|(key, size)| Step::SetSize(key, size)),
        1 => (key(), key()).prop_map(|(from, to)| Step::Rekey(from, to)),
        1 => key().prop_map(Step::Delete),
    ]
}

/// Any of them, in about the proportions of life.
pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => by_user(),
        2 => by_user().prop_map(|step| Step::RolledBack(Box::new(step))),
        5 => task().prop_map(Step::PutTask),
        1 => prop::sample::select(vec!["t1", "t2", "t3", "t4"]).prop_map(|name| Step::DropTask(name.to_owned())),
        4 => Just(Step::Claim),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::Retry),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => Just(Step::Rescan),
    ]
}
