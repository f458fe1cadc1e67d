//! Which task was served when: tasks of one priority take turns.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::parameters::Task;

/// The turns that tasks have had, counted from the start of this dispatcher.
#[derive(Debug, Default)]
pub struct Turns {
    had: Mutex<Had>,
}

#[derive(Debug, Default)]
struct Had {
    count: i64,
    latest: HashMap<String, i64>,
}

impl Turns {
    /// For each of these tasks its latest turn; 0 if it has had none.
    pub fn latest(&self, tasks: &[&Task]) -> Vec<i64> {
        let had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().map(|task| had.latest.get(&task.name).copied().unwrap_or_default()).collect()
    }

    /// These tasks have had one. Of tasks that are no longer known nothing is kept.
    pub fn note<'a>(&self, served: impl IntoIterator<Item = &'a String>, known: &[Task]) {
        let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        for task in served {
            had.count += 1;
            let count = had.count;
            had.latest.insert(task.clone(), count);
        }
        if had.latest.len() > known.len() {
            had.latest.retain(|name, _| known.iter().any(|task| task.name == *name));
        }
    }
}
