//! What is done around the program, with heartbeats going on: before it starts, after it ended well, and at last.

use serde_json::Value;

use super::Options;
use crate::task::Started;
pub use crate::task::failure::Failure;
use crate::task::files::{Files, Local, Saying};

/// Knows what the program needs and what becomes of what it made.
pub struct Around {
    files: Files,
}

/// What the program gets besides.
#[derive(Debug, Default)]
pub struct Extra {
    /// Variables for its environment.
    pub environment: Vec<(String, String)>,
}

impl Around {
    /// For a program that is about to be run so, perhaps with a developer's directories. Says what is wrong with
    /// the options.
    pub fn new(options: &Options, local: Option<Local>, saying: Saying) -> Result<Self, String> {
        Ok(Self { files: Files::new(&options.files, local, saying)? })
    }

    /// Before the program starts. Dropped half-way at a signal to stop.
    pub async fn prepare(&mut self, started: &Started) -> Result<Extra, Failure> {
        // S3's client needs a lot of memory for a call, and few programs have files.
        Ok(Extra { environment: Box::pin(self.files.bring(started)).await? })
    }

    /// After the program and all that it started have ended, and well; returns what to report as the result. Dropped
    /// half-way at a signal to stop.
    pub async fn conclude(&mut self, result: Option<Value>) -> Result<Option<Value>, Failure> {
        Box::pin(self.files.take(result)).await
    }

    /// After the report, whatever the end was.
    pub async fn clean_up(self) {
        self.files.clean_up().await;
    }
}
