//! Attempts as invocations of Lambda functions.
//!
//! Invoke knows no token that would make a repetition harmless, and no call tells what became of an invocation.
//! So each attempt is one call at most: what Lambda is known to have not executed is asked for again, and
//! whatever is in doubt is followed until the function reports, or cannot be running any more, and is then lost
//! for good. A function cannot be stopped either; a stop ends our interest.

mod answer;
mod client;
mod follow;
mod invoke;
mod payload;
mod rails;
mod settings;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use tokio::sync::oneshot;

use super::aws::{Aws, fault};
use super::rails::check_environment;
use super::{
    Attempt, Capabilities, Ends, Found, LaunchError, Launched, LogPlace, Observation, Runner, Stray,
};
use crate::job::{End, RunnerName};
use crate::parameters::{LaunchSpec, Task};
use crate::settings::{AwsSettings, LambdaSettings};
use answer::Answer;
use client::Clients;
use follow::{Follow, Stage};
use invoke::Call;
use settings::Plan;
pub use settings::{KEYS as SETTINGS, read_own as read_settings};

/// How long things are waited for; tests shorten it.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A launch waits so long for an answer: refusals come at once, and the slots for launches are few.
    pub prompt: Duration,
    /// No function runs longer than 15 minutes (Lambda quotas, "Function timeout"); and one minute for the way.
    pub longest_life: Duration,
    /// A function that has reported usually answers at once, and its answer brings the log.
    pub answer_grace: Duration,
    /// Whatever Lambda says, it is asked again after so long.
    pub longest_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            prompt: Duration::from_secs(2),
            longest_life: Duration::from_mins(16),
            answer_grace: Duration::from_secs(1),
            longest_wait: Duration::from_secs(10),
        }
    }
}

/// An end that is there with the launch is told a moment later, so that the launch is written down first.
const AFTER_THE_LAUNCH: Duration = Duration::from_millis(20);

/// Attempts that may wait for their launch. The rest stays in the table, for dispatchers with more room.
const BACKLOG: usize = 50;

/// A stop only ends our interest in a function, which takes no longer than `Timing::answer_grace`.
const STOP_LIMIT: Duration = Duration::from_mins(2);

/// The name of an invocation that Lambda has not named yet.
const UNANSWERED: &str = "invoked, unanswered";

const CANNOT_BE_STOPPED: &str = "it may run still: a Lambda function cannot be stopped";

/// Invokes functions from a list of patterns.
#[derive(Debug)]
pub struct LambdaRunner {
    settings: LambdaSettings,
    aws: Arc<Aws>,
    /// How long a call may take that does not wait for a function.
    call_timeout: Duration,
    clients: Clients,
    follow: Arc<Follow>,
    ends: Ends,
    timing: Timing,
}

impl LambdaRunner {
    /// A runner that will find its credentials when it first needs them.
    #[must_use]
    pub fn new(settings: &LambdaSettings, aws_settings: &AwsSettings, aws: Arc<Aws>, ends: Ends) -> Self {
        let timing = Timing::default();
        Self {
            settings: settings.clone(),
            aws: Arc::clone(&aws),
            call_timeout: aws_settings.call_timeout,
            clients: Clients::new(aws, aws_settings.connect_timeout, timing.longest_life),
            follow: Arc::default(),
            ends,
            timing,
        }
    }

    /// The same with other times.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// What becomes of an attempt that this process did not invoke, or no longer knows.
    fn observe_adopted(&self, attempt: &Attempt, plan: &Plan) -> Observation {
        let answered = attempt.external_id.as_deref().is_some_and(|id| id != UNANSWERED);
        let gone = "the dispatcher that invoked it is gone, and with it the answer";
        match (plan.waits(), plan.settings.fire_and_forget) {
            // It was invoked before we heard of it.
            (true, _) if self.follow.adopted(attempt.id).elapsed() > self.timing.longest_life => {
                Observation::Ended(End::unseen(format!("{gone}; it is not invoked again")))
            }
            (false, true) if answered => Observation::Ended(End::exited(0)),
            (false, true) => Observation::Ended(End::unseen(gone)),
            _ => Observation::Running,
        }
    }

    fn look(&self, attempt: &Attempt) -> Observation {
        let plan = match Plan::read(&attempt.request) {
            Ok(plan) => plan,
            // Frozen by another version of this program, which has checked it.
            Err(reason) => return Observation::Unknown(reason),
        };
        match self.follow.get(attempt.id) {
            None | Some((Stage::Adopted, _)) => self.observe_adopted(attempt, &plan),
            Some((Stage::Doubt(reason), since)) => {
                // A queued event may be executed much later: only a report or the timeout tells.
                let over = plan.settings.fire_and_forget
                    || plan.waits() && since.elapsed() > self.timing.longest_life;
                let in_doubt =
                    || format!("whether it was executed is not known, and it is not invoked again: {reason}");
                if over { Observation::Ended(End::unseen(in_doubt())) } else { Observation::Running }
            }
            Some(_) => Observation::Running,
        }
    }
}

#[async_trait]
impl Runner for LambdaRunner {
    fn name(&self) -> RunnerName {
        RunnerName::Lambda
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            capacity: self.settings.max_running,
            stock: 0,
            short: Duration::ZERO,
            stock_wait: Duration::ZERO,
            backlog: BACKLOG,
            bound_to_host: false,
            repeatable: false,
            sees_ends: false,
            stop_limit: STOP_LIMIT,
        }
    }

    async fn place(&self) -> String {
        String::new()
    }

    async fn ready(&self) -> Result<(), String> {
        self.aws.find_own().await
    }

    fn freeze(&self, request: &mut LaunchSpec) {
        // Another daemon may be at home elsewhere.
        let named = Plan::read(request).is_ok_and(|plan| plan.region.is_some());
        if let (false, Some(settings)) = (named, request.settings.as_object_mut()) {
            settings.insert("region".to_owned(), self.aws.own().into());
        }
    }

    fn check(&self, request: &LaunchSpec) -> Result<(), String> {
        self.may_launch(request)?;
        payload::check(request, &Plan::read(request)?)
    }

    fn may_launch(&self, request: &LaunchSpec) -> Result<(), String> {
        check_environment(self.name(), request.environment.keys(), &self.settings.environment)?;
        rails::check(&Plan::read(request)?, &self.settings, self.aws.own())
    }

    async fn probe(&self, request: &LaunchSpec) -> Result<String, String> {
        self.check(request)?;
        let plan = Plan::read(request)?;
        let client = self.clients.of(&plan).await?;
        let call =
            client::call(&client, &request.target, &plan).invocation_type(InvocationType::DryRun).send();
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(Ok(_)) => Ok(format!("{} may be invoked", plan.as_written)),
            Ok(Err(error)) => Err(fault(&error).to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.call_timeout)),
        }
    }

    async fn launch(
        &self,
        attempt: &Attempt,
        contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        let refused = |reason: String| LaunchError::refused(reason, false);
        let plan = Plan::read(&attempt.request).map_err(refused)?;
        let event = payload::event(attempt, contract, &plan).map_err(refused)?;
        let client = self.clients.of(&plan).await.map_err(LaunchError::Busy)?;
        let log = Some(LogPlace { group: format!("/aws/lambda/{}", plan.name), stream: None });

        let id = attempt.id;
        let token = contract.iter().find(|(name, _)| name == "ROWCALL_TOKEN").map(|(_, token)| token.clone());
        let call = Call {
            request: client::invocation(&client, &attempt.request.target, &plan).payload(Blob::new(event)),
            plan,
            token: token.unwrap_or_default(),
            result_limit: self.settings.result_limit,
            // An event is only taken; that may not take longer than any other call.
            queue_limit: self.call_timeout,
        };
        let (tell, mut told) = oneshot::channel();
        self.follow.begin(id);
        let waiting = tokio::spawn(call.make(id, tell, Arc::clone(&self.follow), self.ends.clone()));
        self.follow.waiting(id, waiting.abort_handle());

        let answer = match tokio::time::timeout(self.timing.prompt, &mut told).await {
            Ok(answer) => answer.ok(),
            Err(_) => {
                // Whatever comes from here on is late.
                told.close();
                told.try_recv().ok()
            }
        };
        let external_id = match answer {
            None => UNANSWERED.to_owned(),
            Some(Answer::Ended { request_id, end }) => {
                let ends = self.ends.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(AFTER_THE_LAUNCH).await;
                    let _ = ends.send((id, end));
                });
                request_id
            }
            Some(Answer::Queued { request_id }) => {
                self.follow.reached(id, Stage::Queued);
                request_id
            }
            Some(Answer::Doubt(reason)) => {
                self.follow.doubt(id, reason);
                UNANSWERED.to_owned()
            }
            Some(Answer::Refused { reason, retryable }) => {
                self.follow.never(id);
                return Err(LaunchError::refused(reason, retryable));
            }
            Some(Answer::Busy { reason, wait }) => {
                self.follow.never(id);
                // In the slot of this launch, so that others slow down as well.
                tokio::time::sleep(wait.unwrap_or_default().min(self.timing.longest_wait)).await;
                return Err(LaunchError::Busy(reason));
            }
            Some(Answer::Away(reason)) => {
                self.follow.never(id);
                return Err(LaunchError::Away(reason));
            }
        };
        Ok(Launched { log, ..Launched::running(external_id) })
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        attempts.iter().map(|attempt| self.look(attempt)).collect()
    }

    async fn find(&self, attempt: &Attempt) -> Result<Found, String> {
        // Asked of attempts of our own only: others that were called count as launched.
        Ok(match self.follow.get(attempt.id) {
            None | Some((Stage::Adopted, _)) => Found::Nothing,
            Some(_) => Found::Running(UNANSWERED.to_owned()),
        })
    }

    async fn stop(&self, attempt: &Attempt, _reason: &str) -> Result<(), String> {
        let waits = Plan::read(&attempt.request).is_ok_and(|plan| plan.waits());
        let called = matches!(self.follow.get(attempt.id), Some((Stage::Called, _)));
        let grace = if waits && called { self.timing.answer_grace } else { Duration::ZERO };
        let (ends, id) = (self.ends.clone(), attempt.id);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            let _ = ends.send((id, End::unseen(CANNOT_BE_STOPPED)));
        });
        Ok(())
    }

    async fn forget(&self, attempt: &Attempt) {
        self.follow.forget(attempt.id);
    }

    /// Lambda lists no invocations, so none can be found; each ends by itself after 15 minutes at most.
    async fn strays(&self, _prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        Vec::new()
    }

    /// There is none to discard: see [`Runner::strays`] here.
    async fn discard(&self, _stray: &Stray) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{AttemptId, Completion, JobId};
    use crate::runners::Age;
    use serde_json::{Value, json};

    pub fn request(target: &str, settings: Value) -> LaunchSpec {
        LaunchSpec {
            target: target.into(),
            settings,
            values: json!({}),
            completion: Completion::Exit,
            ..LaunchSpec::unread(RunnerName::Lambda)
        }
    }

    pub fn attempt(request: LaunchSpec) -> Attempt {
        Attempt {
            id: AttemptId::new(1),
            job_id: JobId::new(1),
            number: 1,
            task: "task".into(),
            launch_key: "rowcall-test-1".into(),
            request: Arc::new(request),
            external_id: None,
            age: Age::zero(),
            in_doubt: false,
            launch_until: None,
        }
    }
}
