//! One row, two dispatchers, up to two attempts; programs that report or only exit; dispatchers that stand still or die.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::job::{
    Completion, End, Facts, JobState, Next, Outcome, Policy, Report, RetryOn, RowWrite, Settlement,
    TRANSITIONS, settle,
};

const DISPATCHERS: usize = 2;

/// Faults in one run.
const FAULTS: u8 = 2;

/// What the program does so that promises hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What begins after the lease is over does not begin.
    pub late_launch_is_refused: bool,
    /// A launch that is repeated has the key of the first.
    pub key_is_kept: bool,
    /// `task_start` admits once.
    pub one_is_admitted: bool,
    /// A report counts only while its attempt is open.
    pub token_is_checked: bool,
    /// Settling changes only what is still this attempt's.
    pub end_is_guarded: bool,
    /// An end is settled by the dispatcher that has the attempt, and by no other that saw it.
    pub ends_are_the_holders: bool,
    /// A row is written only in the status in which the attempt left it.
    pub status_is_compared: bool,
    /// What a dispatcher that is gone has left is adopted.
    pub the_gone_are_replaced: bool,
    /// The job is over after so many failures of its own, and after so many that are not.
    pub most_failures: (i32, i32),
}

pub const KEPT: Rules = Rules {
    late_launch_is_refused: true,
    key_is_kept: true,
    one_is_admitted: true,
    token_is_checked: true,
    end_is_guarded: true,
    ends_are_the_holders: true,
    status_is_compared: true,
    the_gone_are_replaced: true,
    most_failures: (1, 2),
};

/// The same with up to three attempts.
pub const LONGER: Rules = Rules { most_failures: (2, 2), ..KEPT };

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub job: Job,
    /// Failures that count, and those that do not.
    failures: (i32, i32),
    pub row: Row,
    pub attempts: Vec<Attempt>,
    pub dispatchers: [Dispatcher; DISPATCHERS],
    faults: u8,
    /// Set by a step that must never come.
    stale_write: bool,
    success_repeated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    Pending,
    Running(usize),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    Asks,
    Marked,
    Succeeded,
    Failed,
    /// By its user.
    MovedOn,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// None: a dispatcher that is gone.
    pub holder: Option<usize>,
    pub is_open: bool,
    pub admitted: u8,
    pub reported: bool,
    pub succeeded: bool,
    /// That have begun under its key.
    pub programs: Vec<Program>,
    /// Whether the runner remembers its key.
    is_known: bool,
    /// Its launch is written down.
    pub is_noted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    Begun,
    Admitted,
    /// By itself, well or not.
    Exited(bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Dispatcher {
    stands_still: bool,
    /// As the database and its own clock have it.
    lease_is_over: bool,
    /// What it believes to follow.
    follows: BTreeSet<usize>,
    /// It has looked at its lease, and is about to call; whether its lease has ended since.
    calls: Option<(usize, bool)>,
    /// It has called, and not written that down.
    called: Option<usize>,
}

impl Dispatcher {
    /// The attempt for which it has called the runner, and has not written that down.
    pub fn called(&self) -> Option<usize> {
        self.called
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Claim(usize),
    Look(usize, usize),
    Call(usize),
    Note(usize),
    Start(usize, usize),
    Report(usize, usize),
    Exit(usize, usize, bool),
    Settle(usize, usize),
    /// Settled as lost, or past its deadline, while its program runs on somewhere.
    Lose(usize, usize),
    Beat(usize),
    Adopt(usize, usize),
    UserMovesOn,
    StandStill(usize),
    LeaseEnds(usize),
    GoOn(usize),
    Die(usize),
}

impl State {
    fn acts(&self, d: usize) -> bool {
        !self.dispatchers[d].stands_still
    }

    /// Writes the row at an attempt's end.
    fn write_row(&mut self, rules: Rules, attempt: usize, status: Row) {
        match self.row {
            Row::Marked if self.job == Job::Running(attempt) => self.row = status,
            _ if rules.status_is_compared => {}
            _ => {
                self.stale_write = true;
                self.row = status;
            }
        }
    }

    /// What the program decides about this end.
    fn decision(&self, rules: Rules, attempt: usize, end: &End) -> Settlement {
        let (max_attempts, max_runner_failures) = rules.most_failures;
        let policy = Policy { max_attempts, backoff: 0.0, backoff_max: 0.0, retry_on: RetryOn::default() };
        let facts = Facts {
            end,
            report: self.attempts[attempt].reported.then_some(&Report::Succeeded),
            stop: None,
            moved_to: (self.row == Row::MovedOn).then_some("DELETED"),
            moved_by_task: false,
            expected: &["PROCESSING".to_owned()],
            again: false,
            status_succeeded: Some("PROCESSED"),
            status_failed: Some("ERROR"),
            status_runner_failed: None,
            policy: &policy,
            completion: Completion::Exit,
            failures: self.failures.0,
            runner_failures: self.failures.1,
            max_runner_failures,
        };
        settle(&facts, 0.5)
    }

    /// Ends an attempt of which this was seen.
    fn end(&mut self, rules: Rules, attempt: usize, end: &End) {
        let decision = self.decision(rules, attempt, end);
        let of_attempt = &mut self.attempts[attempt];
        of_attempt.is_open = false;
        of_attempt.succeeded |= decision.outcome == Outcome::Succeeded;
        self.failures = (decision.failures, decision.runner_failures);
        match decision.row {
            // The report has written it.
            _ if self.attempts[attempt].reported => {}
            RowWrite::None => {}
            RowWrite::Succeeded => self.write_row(rules, attempt, Row::Succeeded),
            RowWrite::Failed => self.write_row(rules, attempt, Row::Failed),
        }
        // Its waiting is over at once here.
        self.go(Some(JobState::Running), (decision.next != Next::Finish).then_some(JobState::Waiting));
        self.job = if decision.next == Next::Finish { Job::Over } else { Job::Pending };
    }

    /// That this is a way of a job is said by the program's own table of them.
    fn go(&self, from: Option<JobState>, to: Option<JobState>) {
        assert!(
            TRANSITIONS.iter().any(|way| way.from == from && way.to == to),
            "{from:?} to {to:?} is no way of a job"
        );
    }
}

/// What the runner says of an attempt with these programs.
pub fn seen(attempt: &Attempt) -> End {
    let well = attempt.reported || attempt.programs.contains(&Program::Exited(true));
    End::exited(if well { 0 } else { 3 })
}

impl Model for Rules {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            job: Job::Pending,
            failures: (0, 0),
            row: Row::Asks,
            attempts: Vec::new(),
            dispatchers: Default::default(),
            faults: FAULTS,
            stale_write: false,
            success_repeated: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for d in 0..DISPATCHERS {
            let dispatcher = &state.dispatchers[d];
            if dispatcher.stands_still {
                if !dispatcher.lease_is_over {
                    steps.push(Step::LeaseEnds(d));
                }
                steps.push(Step::GoOn(d));
                continue;
            }
            if state.job == Job::Pending && !dispatcher.lease_is_over {
                steps.push(Step::Claim(d));
            }
            for &a in &dispatcher.follows {
                if dispatcher.calls.is_none()
                    && !dispatcher.lease_is_over
                    && dispatcher.called.is_none()
                    && !state.attempts[a].is_noted
                {
                    steps.push(Step::Look(d, a));
                }
                let attempt = &state.attempts[a];
                let has_ended = attempt.programs.iter().any(|program| matches!(program, Program::Exited(_)));
                let runs_on = attempt.programs.iter().any(|program| !matches!(program, Program::Exited(_)));
                if runs_on && attempt.is_open && attempt.holder == Some(d) && state.faults > 0 {
                    steps.push(Step::Lose(d, a));
                }
                // A launch that is under way is ended, or its answer awaited, before what it was for is settled.
                let is_launching = dispatcher.calls.is_some_and(|(of, _)| of == a);
                if (attempt.is_known && has_ended || attempt.reported) && !is_launching {
                    steps.push(Step::Settle(d, a));
                }
            }
            if dispatcher.calls.is_some() {
                steps.push(Step::Call(d));
            }
            if dispatcher.called.is_some() {
                steps.push(Step::Note(d));
            }
            if dispatcher.lease_is_over
                || dispatcher.follows.iter().any(|a| state.attempts[*a].holder != Some(d))
            {
                steps.push(Step::Beat(d));
            }
            for (a, attempt) in state.attempts.iter().enumerate() {
                let is_gone = attempt
                    .holder
                    .is_none_or(|holder| holder != d && state.dispatchers[holder].lease_is_over);
                if attempt.is_open && is_gone && !dispatcher.lease_is_over && self.the_gone_are_replaced {
                    steps.push(Step::Adopt(d, a));
                }
            }
            if state.faults > 0 {
                steps.push(Step::StandStill(d));
                steps.push(Step::Die(d));
            }
        }
        for (a, attempt) in state.attempts.iter().enumerate() {
            for (p, program) in attempt.programs.iter().enumerate() {
                match program {
                    Program::Begun => {
                        steps.push(Step::Start(a, p));
                        steps.push(Step::Exit(a, p, true));
                        steps.push(Step::Exit(a, p, false));
                    }
                    Program::Admitted => steps.extend([Step::Report(a, p), Step::Exit(a, p, false)]),
                    Program::Exited(_) => {}
                }
            }
        }
        if matches!(state.row, Row::Asks | Row::Marked) && state.faults > 0 {
            steps.push(Step::UserMovesOn);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Claim(d) if state.row == Row::MovedOn => {
                debug_assert!(state.acts(d));
                state.go(Some(JobState::Pending), None);
                state.job = Job::Over;
            }
            Step::Claim(d) => {
                let a = state.attempts.len();
                state.success_repeated |= state.attempts.iter().any(|attempt| attempt.succeeded);
                state.attempts.push(Attempt {
                    holder: Some(d),
                    is_open: true,
                    admitted: 0,
                    reported: false,
                    succeeded: false,
                    programs: Vec::new(),
                    is_known: false,
                    is_noted: false,
                });
                state.go(Some(JobState::Pending), Some(JobState::Running));
                state.job = Job::Running(a);
                state.row = Row::Marked;
                state.dispatchers[d].follows.insert(a);
            }
            Step::Look(d, a) => state.dispatchers[d].calls = Some((a, state.dispatchers[d].lease_is_over)),
            Step::Call(d) => {
                let (a, is_late) = state.dispatchers[d].calls.take()?;
                let is_found = state.attempts[a].is_known && self.key_is_kept;
                let begins = !is_found && (!is_late || !self.late_launch_is_refused);
                if is_found || begins {
                    state.dispatchers[d].called = Some(a);
                }
                if begins {
                    state.attempts[a].programs.push(Program::Begun);
                    state.attempts[a].is_known = true;
                }
            }
            Step::Note(d) => {
                let a = state.dispatchers[d].called.take()?;
                state.attempts[a].is_noted |= state.attempts[a].holder == Some(d);
            }
            Step::Start(a, p) => {
                let attempt = &mut state.attempts[a];
                let admits = attempt.is_open && (attempt.admitted == 0 || !self.one_is_admitted);
                attempt.admitted += u8::from(admits);
                // Told to leave, it leaves.
                attempt.programs[p] = if admits { Program::Admitted } else { Program::Exited(false) };
            }
            Step::Report(a, p) => {
                state.attempts[a].programs[p] = Program::Exited(true);
                if state.attempts[a].is_open {
                    state.write_row(*self, a, Row::Succeeded);
                    state.attempts[a].reported = true;
                } else if !self.token_is_checked {
                    state.stale_write = true;
                }
            }
            Step::Exit(a, p, well) => state.attempts[a].programs[p] = Program::Exited(well),
            Step::Settle(d, a) => {
                state.dispatchers[d].follows.remove(&a);
                let is_open = state.attempts[a].is_open && state.job == Job::Running(a);
                let is_its = state.attempts[a].holder == Some(d) || !self.ends_are_the_holders;
                if is_open && is_its || !self.end_is_guarded {
                    let end = seen(&state.attempts[a]);
                    state.end(*self, a, &end);
                    // Nothing of a settled attempt stays.
                    state.attempts[a].is_known = false;
                }
            }
            Step::Lose(d, a) => {
                state.faults -= 1;
                state.dispatchers[d].follows.remove(&a);
                state.end(*self, a, &End::lost("it cannot be seen any more"));
            }
            Step::Beat(d) => {
                state.dispatchers[d].lease_is_over = false;
                let attempts = &state.attempts;
                state.dispatchers[d]
                    .follows
                    .retain(|a| attempts[*a].holder == Some(d) && attempts[*a].is_open);
            }
            Step::Adopt(d, a) => {
                state.attempts[a].holder = Some(d);
                state.dispatchers[d].follows.insert(a);
            }
            Step::UserMovesOn => {
                state.row = Row::MovedOn;
                state.faults -= 1;
            }
            Step::StandStill(d) => {
                state.dispatchers[d].stands_still = true;
                state.faults -= 1;
            }
            Step::LeaseEnds(d) => {
                state.dispatchers[d].lease_is_over = true;
                if let Some((_, is_late)) = &mut state.dispatchers[d].calls {
                    *is_late = true;
                }
            }
            Step::GoOn(d) => state.dispatchers[d].stands_still = false,
            // Its successor is another dispatcher.
            Step::Die(d) => {
                state.dispatchers[d] = Dispatcher::default();
                state.attempts.iter_mut().filter(|a| a.holder == Some(d)).for_each(|a| a.holder = None);
                state.faults -= 1;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one launch per attempt", |_, state: &State| {
                state.attempts.iter().all(|attempt| attempt.programs.len() <= 1)
            }),
            Property::always("one executor per attempt", |_, state: &State| {
                state.attempts.iter().all(|attempt| attempt.admitted <= 1)
            }),
            Property::always("no stale write", |_, state: &State| !state.stale_write),
            Property::always("no success repeated", |_, state: &State| !state.success_repeated),
            Property::always("row and job agree", |_, state: &State| match state.job {
                Job::Over => state.row != Row::Marked,
                Job::Running(_) => state.row != Row::Asks,
                Job::Pending => true,
            }),
            // Without another fault: some step is left until the job is over.
            Property::always("no job is stuck", |rules: &Self, state: &State| {
                let mut steps = Vec::new();
                rules.actions(state, &mut steps);
                let goes_on =
                    |step: &Step| !matches!(step, Step::StandStill(_) | Step::Die(_) | Step::UserMovesOn);
                state.job == Job::Over
                    || steps
                        .iter()
                        .filter(|step| goes_on(step))
                        .any(|step| rules.next_state(state, *step).is_some())
            }),
        ]
    }
}
