//! When a row was made: its producer writes it into the row, a template brings it to the worker.

use std::time::{Duration, SystemTime};

/// The column `command` of the task.
pub const TEMPLATE: &str = "{{ row.attributes.made_at }}";

/// In microseconds since 1970.
pub fn written(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// As the template renders it.
pub fn read(rendered: &str) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_micros(rendered.parse().ok()?))
}

/// How long ago it was. The clock of the machine may have been set meanwhile.
pub fn ago(at: SystemTime) -> Duration {
    SystemTime::now().duration_since(at).unwrap_or_default()
}
