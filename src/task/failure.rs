//! What goes wrong around a program.

/// Why the attempt fails although its program did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For a person.
    pub message: String,
    /// Whether it may go better another time.
    pub retry: bool,
}

impl Failure {
    /// Another time or on another machine it may go better.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: true }
    }

    /// It will be the same every time.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: false }
    }
}
