//! Walks at random, from a fixed seed, as a file that `tests/replay.rs` walks on Postgres: each step that a statement does, and what there must
//! be after it.

use std::fmt::Write as _;
use std::path::Path;

use stateright::Model as _;

use super::launching::{Job, LONGER, Row, State, Step, seen};

/// So many walks, each of so many steps at most.
const WALKS: u64 = 200;
const STEPS: usize = 40;

/// The generator of Numerical Recipes: numbers that are the same for ever.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// The step in words, where a statement does it.
fn shown(before: &State, step: Step) -> Option<String> {
    Some(match step {
        Step::Claim(d) => format!("claim {d}"),
        Step::Note(d) => format!("note {d} {}", before.dispatchers[d].called()?),
        Step::Start(a, p) => format!("start {a} {p}"),
        Step::Report(a, p) => format!("report {a} {p}"),
        Step::Settle(d, a) => {
            format!("settle {d} {a} {}", seen(&before.attempts[a]).exit_code.unwrap_or_default())
        }
        Step::Lose(d, a) => format!("lose {d} {a}"),
        Step::Beat(d) => format!("beat {d}"),
        Step::Adopt(d, _) => format!("adopt {d}"),
        Step::UserMovesOn => "move".to_owned(),
        Step::LeaseEnds(d) => format!("silence {d}"),
        Step::Die(d) => format!("die {d}"),
        // In memory, or at the runner.
        Step::Look(..) | Step::Call(_) | Step::Exit(..) | Step::StandStill(_) | Step::GoOn(_) => return None,
    })
}

/// What the database must say.
fn picture(state: &State) -> String {
    let job = match state.job {
        Job::Pending => "pending".to_owned(),
        Job::Running(a) => format!("running {a}"),
        Job::Over => "over".to_owned(),
    };
    let row = match state.row {
        Row::Asks => "REGISTERED",
        Row::Marked => "PROCESSING",
        Row::Succeeded => "PROCESSED",
        Row::Failed => "ERROR",
        Row::MovedOn => "DELETED",
    };
    let mut text = format!("{job}, row {row}");
    for attempt in &state.attempts {
        let holder = match (attempt.is_open, attempt.holder) {
            (false, _) => "ended".to_owned(),
            (true, None) => "of one that is gone".to_owned(),
            (true, Some(d)) => format!("of {d}"),
        };
        let admitted = if attempt.admitted > 0 { ", admitted" } else { "" };
        let reported = if attempt.reported { ", reported" } else { "" };
        write!(text, "; {holder}{admitted}{reported}").unwrap();
    }
    text
}

/// All walks.
fn walks() -> String {
    let mut text = String::new();
    for number in 0..WALKS {
        let mut numbers = Numbers(number);
        let mut state = LONGER.init_states().remove(0);
        writeln!(text, "walk {number}").unwrap();
        for _ in 0..STEPS {
            let mut steps = Vec::new();
            LONGER.actions(&state, &mut steps);
            if steps.is_empty() {
                break;
            }
            let step = steps[numbers.below(steps.len())];
            // These are there at each step, and would end most walks before much has happened.
            if matches!(step, Step::UserMovesOn | Step::Die(_)) && numbers.below(6) > 0 {
                continue;
            }
            let Some(next) = LONGER.next_state(&state, step) else { continue };
            if let Some(words) = shown(&state, step) {
                writeln!(text, "{words}: {}", picture(&next)).unwrap();
            }
            state = next;
        }
    }
    text
}

#[test]
fn the_walks_that_are_kept_are_those_of_the_model() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("walks.txt");
    let walks = walks();
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(&file, &walks).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == walks, "walks.txt is not of this model: ROWCALL_WRITE_DOCS=1 renews it");
    for word in
        ["claim", "note", "start", "report", "settle", "lose", "beat", "adopt", "move", "silence", "die"]
    {
        let times = walks.lines().filter(|line| line.starts_with(word)).count();
        assert!(times > 3, "{word} comes {times} times");
    }
}
