//! What the program leaves in its output directory.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::address::Address;
use super::directory::Directory;
use super::manifest::{self, Entry};
use super::named::MOST;
use super::saying::Saying;
use super::store::Store;
use super::{AT_ONCE, copy, inputs, tree};
use crate::task::failure::Failure;

/// The directory, which was empty when it was opened.
#[derive(Debug)]
pub struct Outputs {
    dir: Directory,
    to: Option<Address>,
    made: Vec<PathBuf>,
    /// Without a place to store them, the files stay as they are.
    stay: bool,
}

impl Outputs {
    /// Makes the directory if it is missing. What is in it before the program starts would count as made, and be
    /// removed at the end.
    pub fn open(dir: &Path, to: Option<Address>) -> Result<Self, Failure> {
        if let Some(Address::File(to)) = &to
            && (to.starts_with(dir) || dir.starts_with(to))
        {
            return Err(Failure::lasting(format!(
                "--output-to {} and --output-dir {} must be apart from each other",
                to.display(),
                dir.display()
            )));
        }
        let mut made = Vec::new();
        inputs::make_directory(dir, &mut made)?;
        if let Some(Address::File(to)) = &to
            && let (Ok(to), Ok(real)) = (to.canonicalize(), dir.canonicalize())
            && (to.starts_with(&real) || real.starts_with(&to))
        {
            return Err(Failure::lasting(format!(
                "--output-to and --output-dir both lead to {}; they must be apart from each other",
                real.display()
            )));
        }
        let mut entries = std::fs::read_dir(dir).map_err(|error| copy::reading(dir, &error))?;
        if entries.next().is_some() {
            return Err(Failure::passing(format!(
                "the output directory {} is not empty: what is in it would count as made by the program; give each \
                 attempt its own",
                dir.display()
            )));
        }
        Ok(Self { dir: Directory::open(dir)?, to, made, stay: false })
    }

    /// Stores what is there now, and returns the result with the list of it.
    pub async fn store(
        &mut self,
        result: Option<Value>,
        store: &Store,
        saying: &Saying,
    ) -> Result<Value, Failure> {
        let dir = self.dir.path();
        if !self.dir.is_same() {
            return Err(Failure::lasting(format!(
                "the program has put something else in the place of the output directory {}",
                dir.display()
            )));
        }
        let found = tree::walk(dir, MOST)?;
        for other in found.others {
            eprintln!("rowcall-task: {} is a link or no file, and left out", other.display());
        }
        let at = self.to.clone().unwrap_or_else(|| Address::File(dir.to_owned()).into_folder());
        let mut entries = Vec::new();
        let count = found.files.len();
        for (i, name) in found.files.into_iter().enumerate() {
            saying.say(format!("reading {} of {count}: {name}", i + 1));
            let (bytes, sha256) = copy::hash(&dir.join(&name)).await?;
            let url = at.below(&name).to_string();
            entries.push(Entry { name, bytes, sha256, url });
        }
        let whole = manifest::join(result, &entries)?;
        if self.to.is_some() {
            let stores = entries.iter().enumerate().map(|(i, entry)| {
                let from = dir.join(&entry.name);
                let to = at.below(&entry.name);
                async move {
                    saying.say(format!("storing {} of {count}: {}", i + 1, entry.name));
                    store.store(&from, entry.bytes, &to).await
                }
            });
            stream::iter(stores).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        } else {
            self.stay = true;
        }
        Ok(whole)
    }

    /// Removes what was stored, or is of no use because the attempt failed: the next one finds it empty.
    pub fn clean_up(self) {
        if self.stay || !self.dir.is_same() {
            return;
        }
        tree::empty(self.dir.path());
        for dir in self.made.iter().rev() {
            let _ = std::fs::remove_dir(dir);
        }
    }
}
