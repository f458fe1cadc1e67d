//! Two writers and a dispatcher that sleeps: no job waits while it does.

use stateright::{Model, Property};

use super::{are_there, explored};

const WRITERS: usize = 2;

#[derive(Debug, Clone, Copy)]
struct Rules {
    /// With the lock, and before it sleeps, the dispatcher looks once more.
    looks_again: bool,
    /// The dispatcher holds the lock while it sleeps.
    sleeps_with_the_lock: bool,
    /// A writer holds its lock until it has committed.
    writers_hold: bool,
    /// A writer that is refused notifies.
    the_refused_notify: bool,
}

const KEPT: Rules =
    Rules { looks_again: true, sleeps_with_the_lock: true, writers_hold: true, the_refused_notify: true };

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    writers: [Writer; WRITERS],
    dispatcher: Sleeper,
    is_locked: bool,
    /// Committed, and not found yet.
    jobs: u8,
    is_notified: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    /// Has still to ask for the lock.
    Begins,
    /// Has made its job and not committed; whether it will notify, and whether it holds the lock.
    Made {
        notifies: bool,
        holds: bool,
    },
    Committed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sleeper {
    Awake,
    /// Has looked, found nothing, and wants the lock.
    WantsLock,
    HasLock,
    Asleep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Make(usize),
    Commit(usize),
    Look,
    Lock,
    LookAgain,
    Hear,
}

impl Model for Rules {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            writers: [Writer::Begins; WRITERS],
            dispatcher: Sleeper::Awake,
            is_locked: false,
            jobs: 0,
            is_notified: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (w, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Begins => steps.push(Step::Make(w)),
                Writer::Made { .. } => steps.push(Step::Commit(w)),
                Writer::Committed => {}
            }
        }
        let held_by_a_writer =
            state.writers.iter().any(|writer| matches!(writer, Writer::Made { holds: true, .. }));
        match state.dispatcher {
            Sleeper::Awake => steps.push(Step::Look),
            Sleeper::WantsLock if !held_by_a_writer => steps.push(Step::Lock),
            Sleeper::WantsLock => {}
            Sleeper::HasLock => steps.push(Step::LookAgain),
            Sleeper::Asleep if state.is_notified => steps.push(Step::Hear),
            Sleeper::Asleep => {}
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Make(w) => {
                let refused = state.is_locked;
                state.writers[w] = Writer::Made {
                    notifies: refused && self.the_refused_notify,
                    holds: !refused && self.writers_hold,
                };
            }
            Step::Commit(w) => {
                let Writer::Made { notifies, .. } = state.writers[w] else { return None };
                state.writers[w] = Writer::Committed;
                state.jobs += 1;
                state.is_notified |= notifies;
            }
            Step::Look => {
                state.dispatcher = if state.jobs == 0 { Sleeper::WantsLock } else { Sleeper::Awake };
                state.jobs = 0;
            }
            Step::Lock => {
                state.is_locked = self.sleeps_with_the_lock;
                state.dispatcher = if self.looks_again { Sleeper::HasLock } else { Sleeper::Asleep };
            }
            Step::LookAgain => {
                state.dispatcher = if state.jobs == 0 { Sleeper::Asleep } else { Sleeper::Awake };
                if state.dispatcher == Sleeper::Awake {
                    state.is_locked = false;
                }
                state.jobs = 0;
            }
            Step::Hear => {
                state.is_notified = false;
                state.is_locked = false;
                state.dispatcher = Sleeper::Awake;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("no wake-up is lost", |_, state: &State| {
            let all_committed = state.writers.iter().all(|writer| *writer == Writer::Committed);
            !(all_committed && state.jobs > 0 && state.dispatcher == Sleeper::Asleep && !state.is_notified)
        })]
    }
}

#[test]
fn no_order_of_steps_loses_a_wake_up() {
    are_there(&["sql/functions/trigger/wake_sql.sql", "sql/queries/wake_lock/wake_lock_acquire.sql"]);
    let (states, broken) = explored(KEPT);
    eprintln!("{states} states");
    assert!(broken.is_empty(), "{broken:?}");
    for mutant in [
        Rules { looks_again: false, ..KEPT },
        Rules { sleeps_with_the_lock: false, ..KEPT },
        Rules { writers_hold: false, ..KEPT },
        Rules { the_refused_notify: false, ..KEPT },
    ] {
        let (_, broken) = explored(mutant);
        assert_eq!(broken, ["no wake-up is lost"], "{mutant:?}");
    }
}
