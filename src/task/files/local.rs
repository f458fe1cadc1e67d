//! A developer's own directories in the place of a row and a store: the task runs as it will, without a database.

use crate::contract::{LOCAL_INPUT, LOCAL_OUTPUT};
use std::path::PathBuf;

use regex_lite::Regex;

use super::address::Address;
use super::copy;
use super::inputs::Input;
use super::named::MOST;
use super::tree;
use crate::task::contract::{TOKEN, variable};
use crate::task::failure::Failure;

/// The directories.
#[derive(Debug, Clone)]
pub struct Local {
    input: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Local {
    /// Asked for by the environment; a token says that this is an attempt after all.
    pub fn asked() -> Option<Self> {
        let of = |name| variable(name).and_then(|dir| std::path::absolute(dir).ok());
        let local = Self { input: of(LOCAL_INPUT), output: of(LOCAL_OUTPUT) };
        let asked = local.input.is_some() || local.output.is_some();
        (asked && variable(TOKEN).is_none()).then_some(local)
    }

    /// All files of the input directory whose names the pattern matches.
    pub fn inputs(&self, pattern: Option<&Regex>) -> Result<Vec<Input>, Failure> {
        let Some(dir) = &self.input else { return Ok(Vec::new()) };
        copy::look(dir)?;
        let mut names = tree::walk(dir, MOST)?.files;
        names.retain(|name| pattern.is_none_or(|pattern| pattern.is_match(name)));
        Ok(names.into_iter().map(|name| Input { source: Address::File(dir.join(&name)), name }).collect())
    }

    /// Where a missing input is missed; none if no input was promised.
    pub fn looked_at(&self) -> Option<String> {
        self.input.as_ref().map(|dir| dir.display().to_string())
    }

    /// Where output goes.
    pub fn output(&self) -> Option<Address> {
        self.output.clone().map(|dir| Address::File(dir).into_folder())
    }
}
