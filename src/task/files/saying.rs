//! A word about what is done, for the next heartbeat.

use std::cell::RefCell;
use std::rc::Rc;

/// The latest word counts; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Saying(Rc<RefCell<Option<String>>>);

impl Saying {
    /// Leaves it for the next heartbeat.
    pub fn say(&self, word: String) {
        *self.0.borrow_mut() = Some(word);
    }

    /// Takes what was said since the last time.
    pub fn take(&self) -> Option<String> {
        self.0.borrow_mut().take()
    }
}
