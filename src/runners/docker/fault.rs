//! What an error of a call to the engine says about the call.

use bollard::errors::Error;

/// What is known of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was never sent: there is no engine to be reached.
    NotSent,
    /// The engine has answered with this status.
    Answer(u16),
    /// It was done, and the answer to it cannot be read.
    Unreadable,
    /// It may have been done: there was no answer.
    Unclear,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is known.
    pub kind: Kind,
    /// For a person.
    pub message: String,
}

impl Fault {
    /// Without an answer.
    pub fn unclear(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unclear, message: message.into() }
    }

    /// Whether the engine says that it knows no such thing.
    pub fn is_missing(&self) -> bool {
        self.kind == Kind::Answer(404)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self { kind: Kind::Answer(status_code), message: message.trim().to_owned() }
            }
            error @ (Error::JsonDataError { .. } | Error::JsonSerdeError { .. }) => {
                Self { kind: Kind::Unreadable, message: with_causes(&error) }
            }
            Error::DockerStreamError { error } => Self::unclear(error),
            Error::SocketNotFoundError(path) => {
                Self { kind: Kind::NotSent, message: format!("there is no socket {path}") }
            }
            Error::RequestTimeoutError => Self::unclear("no answer in time"),
            Error::HyperLegacyError { err } if err.is_connect() => {
                Self { kind: Kind::NotSent, message: with_causes(&err) }
            }
            other => Self::unclear(with_causes(&other)),
        }
    }
}

/// An error with what is behind it, each said once.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}
