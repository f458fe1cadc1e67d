//! The parameters in memory: read again whenever a claim finds that they were edited.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::database::{DatabaseError, Statements, load_parameters};
use crate::parameters::Task;

/// A shared view of all tasks. Readers get a whole, unchanging list.
#[derive(Debug, Clone, Default)]
pub struct TaskCache {
    read: Arc<RwLock<Read>>,
    /// Told after a new reading; the listener follows the tasks' channels.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Read {
    tasks: Arc<Vec<Task>>,
    /// The stamp under which they were read; see `sql/queries/schema/schema_and_parameters_stamp.sql`.
    stamp: String,
}

impl TaskCache {
    /// The tasks as they were last read, highest priority first.
    #[must_use]
    pub fn tasks(&self) -> Arc<Vec<Task>> {
        Arc::clone(&self.read.read().unwrap_or_else(PoisonError::into_inner).tasks)
    }

    /// The same with the stamp under which they were read.
    #[must_use]
    pub fn tasks_and_stamp(&self) -> (Arc<Vec<Task>>, String) {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&read.tasks), read.stamp.clone())
    }

    /// Whether the tasks were read under this stamp.
    #[must_use]
    pub fn are_as_of(&self, stamp: &str) -> bool {
        self.read.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp
    }

    /// The tasks as of this stamp, read anew if it is another than the last time. True if they were.
    pub async fn refresh(&self, client: &impl Statements, stamp: &str) -> Result<bool, DatabaseError> {
        if self.are_as_of(stamp) {
            return Ok(false);
        }
        let tasks = Arc::new(load_parameters(client).await?);
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Read { tasks, stamp: stamp.to_owned() };
        self.changed.notify_one();
        Ok(true)
    }

    /// Waits until the tasks were read anew.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
