//! What is known of an attempt once its runner has taken it.

/// What a runner says of an attempt that it has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The runner's own name for it: process id, task ARN.
    pub external_id: String,
    /// Whether the program runs already; otherwise `Observation::Running` will tell.
    pub begun: bool,
    /// Where its output can be read, if the runner knows of such a place.
    pub log: Option<LogPlace>,
}

impl Launched {
    /// Taken, and running.
    #[must_use]
    pub fn running(external_id: impl Into<String>) -> Self {
        Self { external_id: external_id.into(), begun: true, log: None }
    }

    /// In strings that Postgres can keep.
    #[must_use]
    pub fn storable(mut self) -> Self {
        let log = self.log.iter_mut().flat_map(|log| std::iter::once(&mut log.group).chain(&mut log.stream));
        for text in log.chain([&mut self.external_id]) {
            storable(text);
        }
        self
    }
}

/// Takes out of a string the one character that Postgres cannot keep.
pub fn storable(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

/// Where a log can be read: CloudWatch's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlace {
    /// The log group.
    pub group: String,
    /// The log stream, where it is known beforehand.
    pub stream: Option<String>,
}
