//! The terms of requests that this dispatcher knows: which of them are written down, and what they say.
//!
//! Their ids are made of what they say, so that what is known of one stays true, also after a failover that lost commits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::claim::prepare::ReadyJob;
use crate::database::{DatabaseError, Statements, Transaction, announce_jobs, keep_terms, locked, terms_of};
use crate::job::{Completion, Policy};
use crate::parameters::{Frozen, WriteBack};

/// With more of either kind it begins anew. A system has some for each task.
const MOST: usize = 1000;

/// What is known of them.
#[derive(Debug, Default)]
pub struct Terms {
    /// The ids of those that are written down, by what they say.
    kept: Mutex<HashMap<String, String>>,
    read: Mutex<HashMap<String, ReadTerms>>,
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
    /// The ids of the terms of these jobs, in their order; or the terms that are not known to be written down.
    pub fn ids(&self, ready: &[ReadyJob]) -> Result<Vec<String>, Vec<Value>> {
        let (all, of_each) = different(ready);
        let kept = locked(&self.kept);
        let ids: Vec<Option<&String>> = all.iter().map(|terms| kept.get(&terms.to_string())).collect();
        let known: Option<Vec<String>> = of_each.into_iter().map(|place| ids[place].cloned()).collect();
        known.ok_or_else(|| {
            let unknown = all.iter().zip(&ids).filter(|(_, id)| id.is_none());
            unknown.map(|(terms, _)| terms.clone()).collect()
        })
    }

    /// Undoes a claim and writes these down instead, so that no other dispatcher which has the same waits for the claim's end. Others may
    /// have passed over its jobs.
    pub async fn write_instead(
        &self,
        claim: &Transaction<'_>,
        terms: Vec<Value>,
    ) -> Result<(), DatabaseError> {
        claim.rollback().await?;
        let ((), ids) = tokio::try_join!(claim.begin(), keep_terms(claim, &terms))?;
        announce_jobs(claim).await?;
        claim.commit().await?;
        let mut kept = locked(&self.kept);
        // Not those of the claim at hand, which is repeated.
        if kept.len() > MOST {
            kept.clear();
        }
        kept.extend(terms.iter().map(Value::to_string).zip(ids));
        Ok(())
    }

    /// The server may have lost some.
    pub fn forget(&self) {
        locked(&self.kept).clear();
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
