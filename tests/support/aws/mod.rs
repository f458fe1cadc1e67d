//! Endpoints that behave as AWS does and then misbehave as AWS does: ECS, Lambda, CloudWatch Logs and SQS in
//! memory, one instance per test. The life of tasks, the clock and every fault are in the test's hands.

pub mod clients;
mod ecs;
mod fault;
mod lambda;
mod logs;
mod sqs;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use fault::{Fault, Ghost};
pub use lambda::Reply;
pub use wire::{Call, Refusal};

use wire::{Answer, Reset};

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-west-1";

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The endpoint; gone, with every connection, when dropped.
pub struct ScriptedAws {
    url: String,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    calls: Vec<Arc<Call>>,
    counts: BTreeMap<String, usize>,
    actions: BTreeSet<String>,
    abandoned: usize,
    faults: HashMap<String, VecDeque<Fault>>,
    /// The latest of each action.
    answers: HashMap<String, Value>,
    ecs: ecs::Ecs,
    lambda: lambda::Lambda,
    logs: logs::Logs,
    sqs: sqs::Sqs,
}

impl ScriptedAws {
    /// On a port of its own, with the cluster `jobs`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let serving = tokio::spawn(wire::serve(listener, Arc::clone(&shared))).abort_handle();
        let aws = Self { url, shared, serving };
        // Tests compare AWS's times with their own, so both begin alike; from here on only `advance` counts.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        aws.advance(Duration::from_millis(now.as_millis() as u64));
        aws.add_cluster("jobs");
        aws
    }

    /// For `endpoint_url`, or `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What goes wrong with the next calls of an action, one each. `Invoke` is scripted per function as well.
    pub fn script(&self, action: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.entry(action.to_owned()).or_default().extend(faults);
    }

    /// All calls of an action so far.
    pub fn calls(&self, action: &str) -> Vec<Arc<Call>> {
        self.state().calls.iter().filter(|call| call.action == action).cloned().collect()
    }

    /// How many that are, without a copy.
    pub fn count(&self, action: &str) -> usize {
        self.state().counts.get(action).copied().unwrap_or_default()
    }

    /// Every IAM action that the calls so far needed: `ecs:RunTask`, `iam:PassRole`, `sqs:DeleteMessage`, ...
    pub fn actions(&self) -> BTreeSet<String> {
        self.state().actions.clone()
    }

    /// The latest answer to an action, before anything went wrong with it.
    pub fn answer(&self, action: &str) -> Value {
        self.state().answers[action].clone()
    }

    /// Whether faults that were scripted for an action have not come yet.
    pub fn has_faults_left(&self, action: &str) -> bool {
        self.state().faults.get(action).is_some_and(|left| !left.is_empty())
    }

    /// How many calls lost their client before they were answered.
    pub fn abandoned(&self) -> usize {
        self.state().abandoned
    }

    /// Waits until a condition holds, looking again at every call, every answer and every change by the test.
    #[track_caller]
    pub fn until(&self, condition: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let asked_at = Location::caller();
        async move {
            let waiting = async {
                loop {
                    let changed = self.shared.changed.notified();
                    tokio::pin!(changed);
                    changed.as_mut().enable();
                    if condition(self) {
                        return;
                    }
                    changed.await;
                }
            };
            let in_time = tokio::time::timeout(LIMIT, waiting).await.is_ok();
            assert!(in_time, "never true at {asked_at}\n{}", self.picture());
        }
    }

    /// Moves AWS's clock, by which tokens expire and stopped tasks are forgotten.
    pub fn advance(&self, by: Duration) {
        self.change(|state| state.ecs.now += by);
    }

    /// Everything of interest, for a test that fails.
    pub fn picture(&self) -> String {
        let state = self.state();
        let mut picture = format!("calls {:?}\nfaults left {:?}\n", state.counts, state.faults);
        for task in state.ecs.tasks.iter().take(20) {
            writeln!(picture, "task {}", task.body).unwrap();
        }
        picture + &format!("{:?}\n{:?}", state.lambda, state.sqs)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.shared.changed.notify_waiters();
        changed
    }
}

impl Drop for ScriptedAws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    async fn handle(&self, call: Call) -> Result<Answer, Reset> {
        let (call, fault) = self.arrived(call);
        let mut waiting = Waiting { shared: self, over: false };
        let answer = self.fate(&call, fault).await;
        waiting.over = true;
        answer
    }

    async fn fate(&self, call: &Call, fault: Fault) -> Result<Answer, Reset> {
        let answer = match fault {
            Fault::Error(refusal) => refusal.answer(call.protocol),
            Fault::DoneThenError(ref refusal) => {
                self.perform(call, &fault).await;
                refusal.clone().answer(call.protocol)
            }
            Fault::Reset => return Err(Reset),
            Fault::DoneThenReset => {
                self.perform(call, &fault).await;
                return Err(Reset);
            }
            Fault::Hold(ref gate) => {
                gate.acquire().await.map_err(|_| Reset)?.forget();
                self.perform(call, &fault).await
            }
            Fault::DoneThenHold(ref gate) => {
                let answer = self.perform(call, &fault).await;
                gate.acquire().await.map_err(|_| Reset)?.forget();
                answer
            }
            Fault::Garbage => {
                let answer = self.perform(call, &fault).await;
                Answer { body: b"<html>not what you expected".to_vec(), ..answer }
            }
            Fault::Body(ref body) => {
                let answer = self.perform(call, &fault).await;
                Answer { body: body.clone(), ..answer }
            }
            Fault::Spoiled { ref at, ref value } => {
                let answer = self.perform(call, &fault).await;
                let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
                spoil(&mut body, at, value.clone());
                Answer { body: body.to_string().into_bytes(), ..answer }
            }
            _ => self.perform(call, &fault).await,
        };
        Ok(answer)
    }

    /// Notes the call, and what is to go wrong with it.
    fn arrived(&self, mut call: Call) -> (Arc<Call>, Fault) {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        call.number = state.calls.len() + 1;
        let call = Arc::new(call);
        state.calls.push(Arc::clone(&call));
        *state.counts.entry(call.action.clone()).or_default() += 1;
        let permission = match (call.service, call.action.as_str()) {
            ("lambda", _) => "lambda:InvokeFunction".to_owned(),
            ("sqs", "DeleteMessageBatch") => "sqs:DeleteMessage".to_owned(),
            (service, action) => format!("{service}:{action}"),
        };
        state.actions.insert(permission);
        state.ecs.haunt();
        let scripted = state.faults.get_mut(&call.action).and_then(VecDeque::pop_front);
        let fault = scripted.or_else(|| state.lambda.fault(&call)).unwrap_or(Fault::None);
        self.changed.notify_waiters();
        (call, fault)
    }

    async fn perform(&self, call: &Call, fault: &Fault) -> Answer {
        let answer = match (call.service, call.action.as_str()) {
            ("sqs", "ReceiveMessage") => sqs::receive(self, &call.json()).await,
            _ => {
                let mut state = self.state.lock().unwrap();
                let State { ecs, lambda, logs, sqs, actions, .. } = &mut *state;
                match call.service {
                    "ecs" => ecs.perform(call, fault, actions),
                    "logs" => logs.perform(call),
                    "sqs" => sqs.perform(call),
                    _ => lambda.perform(call, fault),
                }
            }
        };
        if let Ok(Answer { body, .. }) = &answer
            && let Ok(body) = serde_json::from_slice(body)
        {
            self.state.lock().unwrap().answers.insert(call.action.clone(), body);
        }
        self.changed.notify_waiters();
        answer.unwrap_or_else(|refusal| refusal.answer(call.protocol))
    }
}

/// A call whose client waits; dropped before it is over if the client leaves.
struct Waiting<'a> {
    shared: &'a Shared,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // A test that has failed may have poisoned the lock; it needs no second failure.
        if let (false, Ok(mut state)) = (self.over, self.shared.state.lock()) {
            state.abandoned += 1;
            self.shared.changed.notify_waiters();
        }
    }
}

/// What an action comes to.
type Outcome = Result<Answer, Refusal>;

fn unknown_action(call: &Call) -> Outcome {
    Err(Refusal::new(400, "UnknownOperationException", &format!("{} is not here", call.action)))
}

/// A member that is a string, or nothing.
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// Puts a value in the place that a JSON pointer names, or takes away what is there.
pub fn spoil(body: &mut Value, at: &str, value: Option<Value>) {
    let (parent, member) = at.rsplit_once('/').unwrap();
    let Some(parent) = body.pointer_mut(parent) else { return };
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(member.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(member)),
        (Value::Array(items), Some(value)) => items[member.parse::<usize>().unwrap()] = value,
        (Value::Array(items), None) => drop(items.remove(member.parse().unwrap())),
        _ => {}
    }
}

/// RFC 7396: objects merge, null removes, everything else replaces.
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::default());
    }
    let into = into.as_object_mut().unwrap();
    for (member, value) in patch {
        if value.is_null() {
            into.remove(&member);
        } else {
            merge(into.entry(member).or_insert(Value::Null), value);
        }
    }
}
