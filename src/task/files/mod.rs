//! Files in and out: the files that the row names are fetched before the program starts, and those that it leaves in its
//! output directory are stored after a success.
//!
//! Nothing that was there before is replaced or removed, and nothing of ours stays behind.

mod address;
mod copy;
mod directory;
mod inputs;
mod local;
mod manifest;
mod name;
mod named;
mod options;
mod outputs;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "without_s3.rs"]
mod s3;
mod saying;
mod store;
mod tree;

pub use local::Local;
pub use manifest::Entry;
pub use options::Options;
pub use saying::Saying;

use std::path::Path;

use address::Address;
use inputs::{Input, Inputs};
use outputs::Outputs;
use serde_json::{Value, json};
use store::Store;

use super::Started;
use super::failure::Failure;

/// Files on their way at the same time.
const AT_ONCE: usize = 4;

/// What lies below a directory, as a task's result lists it. Links are left out.
pub async fn list(dir: &Path) -> Result<Vec<Entry>, String> {
    let listed = async {
        let dir = std::path::absolute(dir).map_err(|error| copy::reading(dir, &error))?;
        let at = Address::File(dir.clone()).into_folder();
        let mut entries = Vec::new();
        for name in tree::walk(&dir, named::MOST)?.files {
            let (bytes, sha256) = copy::hash(&dir.join(&name)).await?;
            let url = at.below(&name).to_string();
            entries.push(Entry { name, bytes, sha256, url });
        }
        Ok(entries)
    };
    listed.await.map_err(|failure: Failure| failure.message)
}

/// The files of one attempt.
#[derive(Debug)]
pub struct Files {
    options: Options,
    local: Option<Local>,
    saying: Saying,
    store: Store,
    inputs: Option<Inputs>,
    outputs: Option<Outputs>,
}

impl Files {
    /// As these options ask for; `local` says so if directories stand in for the row and the store.
    pub fn new(options: &Options, local: Option<Local>, saying: Saying) -> Result<Self, String> {
        options.check()?;
        let store = Store::new(options.s3_path_style);
        Ok(Self { options: options.clone(), local, saying, store, inputs: None, outputs: None })
    }

    /// Fetches, and makes room for what the program will make; returns variables for its environment.
    pub async fn bring(&mut self, started: &Started) -> Result<Vec<(String, String)>, Failure> {
        // The cheap refusal first.
        if let Some(dir) = &self.options.output_dir {
            let to = match (&self.local, &self.options.output_to) {
                (Some(local), _) => local.output(),
                (None, Some(template)) => Some(template.fill(started).map_err(Failure::lasting)?),
                (None, None) => None,
            };
            if let Some(Address::S3 { .. }) = to {
                // Before the program works for hours, and nothing can be stored.
                self.store.s3().await?;
            }
            self.outputs = Some(Outputs::open(dir, to)?);
        }
        if let Some(dir) = &self.options.input_dir {
            let wanted = self.wanted(started).await?;
            let inputs = self.inputs.insert(Inputs::open(dir)?);
            inputs.fetch(&wanted, &self.store, &self.saying).await?;
        }
        let dirs = [
            ("ROWCALL_INPUT_DIR", &self.options.input_dir),
            ("ROWCALL_OUTPUT_DIR", &self.options.output_dir),
        ];
        let dirs = dirs
            .into_iter()
            .filter_map(|(name, dir)| Some((name.to_owned(), dir.as_ref()?.to_str()?.to_owned())));
        Ok(dirs.collect())
    }

    async fn wanted(&self, started: &Started) -> Result<Vec<Input>, Failure> {
        let pattern = self.options.input_pattern.as_ref();
        let (wanted, looked_at) = match &self.local {
            Some(local) => (local.inputs(pattern)?, local.looked_at()),
            None => {
                let everywhere = ["row".to_owned()];
                let from = &self.options.input_from;
                let from = if from.is_empty() { &everywhere } else { from.as_slice() };
                let whole =
                    json!({ "row": started.row, "row_key": started.row_key, "values": started.values });
                let named = named::named(&whole, from, pattern).map_err(Failure::lasting)?;
                (inputs::find(named, pattern, &self.store).await?, Some(from.join(", ")))
            }
        };
        if let (true, false, Some(looked_at)) = (wanted.is_empty(), self.options.input_optional, looked_at) {
            let what = match pattern {
                Some(pattern) => format!("a file that matches {pattern}"),
                None => "a file (s3://bucket/key or file:///path; a plain path counts with --input-pattern)"
                    .to_owned(),
            };
            return Err(Failure::lasting(format!(
                "{looked_at} does not name {what}; --input-optional allows that"
            )));
        }
        Ok(wanted)
    }

    /// Stores what the program has made, and returns its result with the list.
    pub async fn take(&mut self, result: Option<Value>) -> Result<Option<Value>, Failure> {
        match &mut self.outputs {
            Some(outputs) => outputs.store(result, &self.store, &self.saying).await.map(Some),
            None => Ok(result),
        }
    }

    /// Removes what is of no use any more.
    pub async fn clean_up(self) {
        if let Some(inputs) = self.inputs {
            inputs.clean_up();
        }
        if let Some(outputs) = self.outputs {
            outputs.clean_up();
        }
        self.store.clean_up().await;
    }
}
