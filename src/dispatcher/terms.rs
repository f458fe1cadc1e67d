//! The terms of requests that this dispatcher knows: which of them are written down, and what they say.
//!
//! Their ids are made of what they say, so that what is known of one stays true, also after a failover that lost commits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::claim::prepare::ReadyJob;
use crate::database::{DatabaseError, Statements, keep_terms, locked, terms_of};
use crate::job::{Completion, Policy};
use crate::parameters::{Frozen, WriteBack};

/// With more of either kind it begins anew. A system has some for each task.
const MOST: usize = 1000;

/// What is known of them.
#[derive(Debug, Default)]
pub struct Terms {
    kept: Mutex<Kept>,
    read: Mutex<HashMap<String, ReadTerms>>,
}

/// The ids of those that are written down, by what they say.
#[derive(Debug, Default)]
struct Kept {
    ids: HashMap<String, String>,
    /// Written by a transaction that has not committed.
    new: Vec<(String, String)>,
}

/// What the settler goes by.
#[derive(Debug)]
pub struct Agreed {
    /// How hard to try.
    pub policy: Policy,
    /// What counts as success.
    pub completion: Completion,
    /// Where status and result go.
    pub write_back: Arc<WriteBack>,
}

/// Terms that cannot be read, and what can be read of them.
#[derive(Debug, Clone)]
pub struct Unread {
    /// Why.
    pub words: String,
    /// This part, or one that writes nothing.
    pub write_back: Arc<WriteBack>,
}

/// Terms as they were read.
pub type ReadTerms = Result<Arc<Agreed>, Unread>;

impl Terms {
    /// The ids of the terms of these jobs, in their order. Those that are new are written down in this transaction.
    pub async fn keep(
        &self,
        client: &impl Statements,
        ready: &[ReadyJob],
    ) -> Result<Vec<String>, DatabaseError> {
        let (all, of_each) = different(ready);
        let ids = self.ids(client, all).await?;
        Ok(of_each.into_iter().map(|place| ids[place].clone()).collect())
    }

    async fn ids(&self, client: &impl Statements, all: Vec<Value>) -> Result<Vec<String>, DatabaseError> {
        let words: Vec<String> = all.iter().map(Value::to_string).collect();
        let known: Vec<Option<String>> = {
            let mut kept = locked(&self.kept);
            // Of a transaction that was undone.
            kept.new.clear();
            words.iter().map(|words| kept.ids.get(words).cloned()).collect()
        };
        let unknown: Vec<Value> =
            all.into_iter().zip(&known).filter(|(_, id)| id.is_none()).map(|(terms, _)| terms).collect();
        let mut written = match unknown.as_slice() {
            [] => Vec::new(),
            unknown => keep_terms(client, unknown).await?,
        }
        .into_iter();
        let mut kept = locked(&self.kept);
        let id = |(words, known): (String, Option<String>)| {
            known.or_else(|| {
                let id = written.next()?;
                kept.new.push((words, id.clone()));
                Some(id)
            })
        };
        // None if the server has answered with fewer than it was asked for: the statement that needs it says so.
        Ok(words.into_iter().zip(known).map(id).map(Option::unwrap_or_default).collect())
    }

    /// The transaction for which ids were asked latest has committed.
    pub fn committed(&self) {
        let mut kept = locked(&self.kept);
        let new = std::mem::take(&mut kept.new);
        if kept.ids.len() + new.len() > MOST {
            kept.ids.clear();
        }
        kept.ids.extend(new);
    }

    /// Something went wrong: the server may have lost some.
    pub fn forget(&self) {
        *locked(&self.kept) = Kept::default();
    }

    /// What these say. Those that are gone are left out.
    pub async fn read<'a>(
        &self,
        client: &impl Statements,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, ReadTerms>, DatabaseError> {
        let ids: HashSet<&str> = ids.collect();
        let mut found: HashMap<String, ReadTerms> = {
            let read = locked(&self.read);
            ids.iter()
                .filter_map(|id| read.get_key_value(*id))
                .map(|(id, terms)| (id.clone(), terms.clone()))
                .collect()
        };
        let unknown: Vec<&str> = ids.into_iter().filter(|id| !found.contains_key(*id)).collect();
        if unknown.is_empty() {
            return Ok(found);
        }
        let read_now: Vec<(String, ReadTerms)> = terms_of(client, &unknown)
            .await?
            .into_iter()
            .map(|(id, terms)| {
                (id, terms.map_or_else(|error| Err(unread(&error, None)), |terms| agreed(&terms)))
            })
            .collect();
        let mut read = locked(&self.read);
        if read.len() + read_now.len() > MOST {
            read.clear();
        }
        read.extend(read_now.iter().filter(|(_, terms)| terms.is_ok()).cloned());
        found.extend(read_now);
        Ok(found)
    }
}

/// The different terms of these jobs, and for each job which of them it has. The jobs of a batch that have one task and expect one status
/// have the same.
fn different(ready: &[ReadyJob]) -> (Vec<Value>, Vec<usize>) {
    let mut groups = HashMap::new();
    let (mut all, mut of_each) = (Vec::new(), Vec::with_capacity(ready.len()));
    for ReadyJob { task, request, .. } in ready {
        let place = *groups.entry((Arc::as_ptr(task), &request.write_back.expected)).or_insert_with(|| {
            all.push(request.terms(task.renders_settings()));
            all.len() - 1
        });
        of_each.push(place);
    }
    (all, of_each)
}

fn agreed(terms: &Value) -> ReadTerms {
    let Frozen { policy, launch, write_back, .. } =
        Frozen::read(terms).map_err(|unreadable| unread(&unreadable, WriteBack::read(terms)))?;
    Ok(Arc::new(Agreed { policy, completion: launch.completion, write_back: Arc::new(write_back) }))
}

fn unread(why: &dyn std::fmt::Display, write_back: Option<WriteBack>) -> Unread {
    Unread {
        words: format!("its frozen request cannot be read: {why}"),
        write_back: Arc::new(write_back.unwrap_or_else(WriteBack::nowhere)),
    }
}

impl Unread {
    /// Of an attempt whose terms are nowhere.
    pub fn gone() -> Self {
        unread(&"its terms are gone", None)
    }
}
