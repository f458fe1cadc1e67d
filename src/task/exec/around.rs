//! What is done around the program, with heartbeats going on: before it starts, after it ended well, and at last.

use serde_json::Value;

use super::Options;
use crate::task::Started;

/// Knows what the program needs and what becomes of what it made.
pub struct Around {}

/// What the program gets besides.
#[derive(Debug, Default)]
pub struct Extra {
    /// Variables for its environment.
    pub environment: Vec<(String, String)>,
}

/// Why the attempt fails although its program did not.
#[derive(Debug)]
pub struct Failure {
    /// For a person.
    pub message: String,
    /// Whether it may go better another time.
    pub retry: bool,
}

#[allow(clippy::unused_async, clippy::unused_self)]
impl Around {
    /// For a program that is about to be run so.
    pub fn new(_options: &Options) -> Self {
        Self {}
    }

    /// Before the program starts. Dropped half-way when somebody asks to stop.
    pub async fn prepare(&mut self, _started: &Started) -> Result<Extra, Failure> {
        Ok(Extra::default())
    }

    /// After the program and all that it started have ended, and well; returns what to report as the result. Dropped
    /// half-way when somebody asks to stop.
    pub async fn conclude(&mut self, result: Option<Value>) -> Result<Option<Value>, Failure> {
        Ok(result)
    }

    /// After the report, whatever the end was.
    pub async fn clean_up(self) {}
}
