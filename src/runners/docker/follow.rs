//! What this daemon follows on the engine, in memory: by launch key, which is what events speak of.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stop_cause::Sent;
use crate::job::End;
use crate::runners::Attempt;

/// Signals remembered of one container.
const SENT_LIMIT: usize = 16;

#[derive(Debug)]
struct Followed {
    attempt: Attempt,
    /// Read once: its log may be long.
    end: Option<End>,
    /// We have told it to stop; so it was not stopped outside of Rowcall.
    told_to_stop: bool,
    /// What the engine has told of signals, which it forgets sooner than we do.
    sent: Vec<Sent>,
    /// Since when it is not known who ended it.
    undecided: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Follow {
    by_key: Mutex<HashMap<String, Followed>>,
}

impl Follow {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Followed>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This daemon has it.
    pub fn add(&self, attempt: &Attempt) {
        self.lock().entry(attempt.launch_key.clone()).or_insert_with(|| Followed {
            attempt: attempt.clone(),
            end: None,
            told_to_stop: false,
            sent: Vec::new(),
            undecided: None,
        });
    }

    /// It was sent a signal.
    pub fn was_sent(&self, key: &str, sent: Sent) {
        if let Some(followed) = self.lock().get_mut(key) {
            // A program may be sent one each second, and live. The last ones count.
            if followed.sent.len() == SENT_LIMIT {
                followed.sent.remove(0);
            }
            followed.sent.push(sent);
        }
    }

    /// The signals that it was sent, as far as this daemon has heard.
    pub fn sent(&self, key: &str) -> Vec<Sent> {
        self.lock().get(key).map(|followed| followed.sent.clone()).unwrap_or_default()
    }

    /// It cannot be found out who ended it: since when.
    pub fn undecided(&self, key: &str) -> Duration {
        self.lock()
            .get_mut(key)
            .map(|followed| followed.undecided.get_or_insert_with(Instant::now).elapsed())
            .unwrap_or_default()
    }

    /// The attempt of a key, while its end is not known.
    pub fn open(&self, key: &str) -> Option<Attempt> {
        self.lock()
            .get(key)
            .filter(|followed| followed.end.is_none())
            .map(|followed| followed.attempt.clone())
    }

    /// Whether it is followed here.
    pub fn follows(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    /// Its end, once it was seen.
    pub fn end(&self, key: &str) -> Option<End> {
        self.lock().get(key).and_then(|followed| followed.end.clone())
    }

    /// Its end was seen.
    pub fn ended(&self, key: &str, end: &End) {
        if let Some(followed) = self.lock().get_mut(key) {
            followed.end = Some(end.clone());
        }
    }

    /// We are about to stop it.
    pub fn stopping(&self, attempt: &Attempt) {
        self.add(attempt);
        if let Some(followed) = self.lock().get_mut(&attempt.launch_key) {
            followed.told_to_stop = true;
        }
    }

    /// Whether we have told it to stop.
    pub fn told_to_stop(&self, key: &str) -> bool {
        self.lock().get(key).is_some_and(|followed| followed.told_to_stop)
    }

    /// It is settled.
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }
}
