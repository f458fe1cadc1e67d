//! Lambda's Invoke: who was really executed, how often, and what was said about it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::wire::{Answer, Call, Refusal};
use super::{ACCOUNT, Fault, Outcome, REGION, ScriptedAws};

/// What may be sent to a function that is waited for, and to one that is not.
const LARGEST: (usize, usize) = (6 * 1024 * 1024, 1024 * 1024);

/// What comes of one execution, or goes wrong before, around or after it.
#[derive(Debug, Clone)]
pub enum Reply {
    Returns {
        payload: Value,
        log: String,
    },
    /// `Unhandled` or `Handled`.
    Fails {
        kind: &'static str,
        payload: Value,
        log: String,
    },
    /// Where the function is executed and the answer not lost, the next reply is its result.
    Fault(Fault),
}

impl Reply {
    pub fn returns(payload: Value) -> Self {
        Self::Returns { payload, log: String::new() }
    }

    /// The runtime's own words for an exception, a timeout, a dead process.
    pub fn unhandled(message: &str) -> Self {
        Self::Fails { kind: "Unhandled", payload: json!({ "errorMessage": message }), log: String::new() }
    }

    pub fn handled(message: &str) -> Self {
        Self::Fails { kind: "Handled", payload: json!({ "errorMessage": message }), log: String::new() }
    }

    /// With lines for whoever asks for the tail of the log.
    pub fn logging(mut self, lines: &str) -> Self {
        if let Self::Returns { log, .. } | Self::Fails { log, .. } = &mut self {
            lines.clone_into(log);
        }
        self
    }
}

/// One call of Invoke, carried out or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    pub function: String,
    pub qualifier: Option<String>,
    /// `RequestResponse`, `Event`, `DryRun`.
    pub kind: String,
    pub log_type: String,
    pub payload: Value,
}

#[derive(Debug, Default)]
pub struct Lambda {
    functions: HashMap<String, Function>,
}

#[derive(Debug, Default)]
struct Function {
    /// Aliases, and the versions they stand for.
    qualifiers: BTreeMap<String, String>,
    replies: VecDeque<Reply>,
    executed: usize,
}

impl Lambda {
    /// The next fault of the function that a call names.
    pub fn fault(&mut self, call: &Call) -> Option<Fault> {
        if call.action != "Invoke" {
            return None;
        }
        let replies = &mut self.functions.get_mut(&invocation(call).function)?.replies;
        match replies.pop_front()? {
            Reply::Fault(fault) => Some(fault),
            reply => {
                replies.push_front(reply);
                None
            }
        }
    }

    pub fn perform(&mut self, call: &Call, fault: &Fault) -> Outcome {
        let asked = invocation(call);
        let not_found = |named: &str| {
            let words = format!("Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:{named}");
            Err(Refusal::new(404, "ResourceNotFoundException", &words))
        };
        let Some(function) = self.functions.get_mut(&asked.function) else {
            return not_found(&asked.function);
        };
        let version = match asked.qualifier.as_deref() {
            None => "$LATEST",
            Some(qualifier) => match function.qualifiers.get(qualifier) {
                Some(version) => version,
                None => return not_found(&format!("{}:{qualifier}", asked.function)),
            },
        };
        let (size, largest) = (call.body.len(), if asked.kind == "Event" { LARGEST.1 } else { LARGEST.0 });
        if size > largest {
            let words = format!("{size} byte payload is too large for the {} invocation type", asked.kind);
            return Err(Refusal::new(413, "RequestTooLargeException", &words));
        }
        // Whatever its content type says, as on AWS; nothing at all is an empty event.
        if !call.body.is_empty() && serde_json::from_slice::<IgnoredAny>(&call.body).is_err() {
            let words = "Could not parse request body into json";
            return Err(Refusal::new(400, "InvalidRequestContentException", words));
        }
        if asked.kind == "DryRun" {
            return Ok(Answer::empty(204));
        }
        function.executed += 1;
        let lost = matches!(fault, Fault::DoneThenReset | Fault::DoneThenError(_));
        let scripted = if lost { None } else { function.replies.pop_front() };
        if asked.kind == "Event" {
            return Ok(Answer::empty(202));
        }
        let (kind, payload, log) = match scripted.unwrap_or_else(|| Reply::returns(Value::Null)) {
            Reply::Returns { payload, log } => (None, payload, log),
            Reply::Fails { kind, payload, log } => (Some(kind), payload, log),
            Reply::Fault(fault) => panic!("{fault:?} cannot follow another fault of the same call"),
        };
        let mut answer = Answer::ok(&payload).with("X-Amz-Executed-Version", version);
        if let Some(kind) = kind {
            answer = answer.with("X-Amz-Function-Error", kind);
        }
        if asked.log_type == "Tail" {
            let tail = &log.as_bytes()[log.len().saturating_sub(4096)..];
            let encoded = base64::engine::general_purpose::STANDARD.encode(tail);
            answer = answer.with("X-Amz-Log-Result", encoded);
        }
        Ok(answer)
    }
}

fn invocation(call: &Call) -> Invocation {
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let named = decoded(path.split('/').nth(3).unwrap_or_default());
    let asked_for = query.split('&').find_map(|pair| pair.strip_prefix("Qualifier=")).map(decoded);
    // A name, `<account>:function:<name>` or an ARN; each may end in `:qualifier`.
    let name = named.rsplit_once(":function:").map_or(named.as_str(), |(_, name)| name);
    let (function, qualifier) = match name.split_once(':') {
        Some((function, qualifier)) => (function, Some(qualifier.to_owned())),
        None => (name, asked_for),
    };
    let kind = match call.header("x-amz-invocation-type") {
        "" => "RequestResponse",
        kind => kind,
    };
    Invocation {
        function: function.to_owned(),
        qualifier,
        kind: kind.to_owned(),
        log_type: call.header("x-amz-log-type").to_owned(),
        payload: call.json(),
    }
}

/// `%3A` and the like.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        decoded.push(u8::from_str_radix(&part[..2], 16).unwrap());
        decoded.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(decoded).unwrap()
}

impl ScriptedAws {
    /// A function, with aliases and the versions they stand for. It returns null until told otherwise.
    pub fn add_function(&self, name: &str, aliases: &[(&str, &str)]) {
        let qualifiers = aliases.iter().map(|(alias, version)| ((*alias).to_owned(), (*version).to_owned()));
        let latest = ("$LATEST".to_owned(), "$LATEST".to_owned());
        let function = Function { qualifiers: qualifiers.chain([latest]).collect(), ..Function::default() };
        self.change(|state| state.lambda.functions.insert(name.to_owned(), function));
    }

    /// What comes of the function's next calls.
    pub fn reply(&self, function: &str, replies: impl IntoIterator<Item = Reply>) {
        self.change(|state| {
            let function = state.lambda.functions.get_mut(function).expect("add_function comes first");
            function.replies.extend(replies);
        });
    }

    /// How often a function was really executed.
    pub fn executed(&self, function: &str) -> usize {
        self.state().lambda.functions.get(function).map_or(0, |function| function.executed)
    }

    /// Every call of a function, carried out or not.
    pub fn invocations(&self, function: &str) -> Vec<Invocation> {
        let calls = self.calls("Invoke");
        calls.iter().map(|call| invocation(call)).filter(|call| call.function == function).collect()
    }
}
