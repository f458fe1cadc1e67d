//! What the program finds in its input directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use regex_lite::Regex;

use super::address::Address;
use super::copy;
use super::directory::Directory;
use super::named::{MOST, Named};
use super::saying::Saying;
use super::store::Store;
use super::tree::{self, Kept};
use super::{AT_ONCE, name};
use crate::crash;
use crate::task::failure::Failure;

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// From where.
    pub source: Address,
    /// Below the input directory.
    pub name: String,
}

/// The directory, and what is ours in it.
#[derive(Debug)]
pub struct Inputs {
    dir: Directory,
    /// Nothing was in it, so that all in it is ours.
    empty: bool,
    /// Outermost first; directories too.
    made: Vec<PathBuf>,
}

impl Inputs {
    /// Makes the directory if it is missing.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let mut made = Vec::new();
        make_directory(dir, &mut made)?;
        let empty = std::fs::read_dir(dir).map_err(|error| copy::reading(dir, &error))?.next().is_none();
        Ok(Self { dir: Directory::open(dir)?, empty, made })
    }

    /// Fetches all. Nothing that was there before is touched.
    pub async fn fetch(&mut self, inputs: &[Input], store: &Store, saying: &Saying) -> Result<(), Failure> {
        for input in inputs {
            self.make_room(input)?;
        }
        let fetches = inputs.iter().enumerate().map(|(i, input)| {
            let to = self.dir.path().join(&input.name);
            async move {
                saying.say(format!("fetching {} of {}: {}", i + 1, inputs.len(), input.name));
                store.fetch(&input.source, &to).await
            }
        });
        stream::iter(fetches).buffer_unordered(AT_ONCE).try_collect().await
    }

    fn make_room(&mut self, input: &Input) -> Result<(), Failure> {
        let path = self.dir.path().join(&input.name);
        if let Some(parent) = path.parent() {
            make_directory(parent, &mut self.made)?;
            let real = |path: &Path| path.canonicalize().map_err(|error| copy::writing(path, &error));
            if !real(parent)?.starts_with(real(self.dir.path())?) {
                return Err(Failure::passing(format!(
                    "{} leads out of the input directory",
                    parent.display()
                )));
            }
        }
        // Also under the name that it has until it is whole.
        for taken in [copy::part(&path), path.clone()] {
            match taken.symlink_metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(copy::writing(&path, &error)),
                Ok(_) => {
                    return Err(Failure::passing(format!(
                        "{} is there already, where {} would be fetched to; nothing is replaced",
                        taken.display(),
                        input.source
                    )));
                }
            }
        }
        self.made.push(path);
        Ok(())
    }

    /// Removes what was fetched, and in a directory of our own all that the program has put there too.
    pub fn clean_up(self) {
        if !self.dir.is_same() {
            return;
        }
        crash::at("before", "what was fetched is removed");
        if self.empty {
            tree::empty(self.dir.path());
        }
        for path in self.made.iter().rev() {
            // Files that are gone already are no error, and a directory with another file in it stays.
            let _ = std::fs::remove_file(path);
            let _ = std::fs::remove_file(copy::part(path));
            let _ = std::fs::remove_dir(path);
        }
        crash::at("after", "what was fetched is removed");
    }
}

/// With those above it; notes the new ones.
pub fn make_directory(dir: &Path, made: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match std::fs::create_dir(dir) {
            Ok(()) => made.push(dir.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(copy::writing(dir, &error)),
        }
    }
    if dir.is_dir() {
        return Ok(());
    }
    Err(Failure::passing(format!("{} is needed as a directory and is something else", dir.display())))
}

/// The files behind what a row names: folders are looked into, and no two may have one name.
pub async fn find(named: Vec<Named>, pattern: Option<&Regex>, store: &Store) -> Result<Vec<Input>, Failure> {
    let mut inputs: Vec<Input> = Vec::new();
    for Named { address, at } in named {
        let files = if address.is_folder() {
            let limit = MOST.saturating_sub(inputs.len());
            let mut below_it = match &address {
                Address::S3 { bucket, key } => store.s3().await?.list(bucket, key, limit).await?,
                Address::File(path) => below(path, limit)?,
            };
            below_it
                .retain(|name| pattern.is_none_or(|pattern| pattern.is_match(&spelt(&address.below(name)))));
            below_it.into_iter().map(|name| (address.below(&name), name)).collect()
        } else {
            let name = address.name().map(str::to_owned).ok_or_else(|| {
                Failure::lasting(format!("{at}: {address} has a name that is not UTF-8 text"))
            })?;
            vec![(address, name)]
        };
        for (source, name) in files {
            add(&mut inputs, Input { source, name }, &at)?;
        }
    }
    Ok(inputs)
}

/// As a pattern sees it: a path as it is, without percent signs.
fn spelt(address: &Address) -> String {
    match address {
        Address::File(path) => path.to_string_lossy().into_owned(),
        s3 @ Address::S3 { .. } => s3.to_string(),
    }
}

fn add(inputs: &mut Vec<Input>, input: Input, at: &str) -> Result<(), Failure> {
    name::check(&input.name).map_err(|why| Failure::lasting(format!("{at}: {}: {why}", input.source)))?;
    match inputs.iter().find(|other| other.name == input.name) {
        // A file that is named once by itself and once by its folder.
        Some(other) if other.source == input.source => return Ok(()),
        Some(other) => {
            return Err(Failure::lasting(format!(
                "{at}: {} and {} have the same name {}, and only one can be in the input directory",
                other.source, input.source, input.name
            )));
        }
        None if inputs.len() >= MOST => {
            return Err(Failure::lasting(format!(
                "{at}: more than {MOST} files are named, which is the most that is fetched"
            )));
        }
        None => {}
    }
    inputs.push(input);
    Ok(())
}

/// The names of all files below a directory of this machine.
fn below(dir: &Path, limit: usize) -> Result<Vec<String>, Failure> {
    copy::look(dir)?;
    let Kept { files, .. } = tree::walk(dir, limit)?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(source: &str, name: &str) -> Input {
        Input { source: Address::parse(source).unwrap().unwrap(), name: name.to_owned() }
    }

    fn added(all: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
        let mut inputs = Vec::new();
        for (source, name) in all {
            add(&mut inputs, input(source, name), "row.u")?;
        }
        Ok(inputs.into_iter().map(|input| input.name).collect())
    }

    #[test]
    fn files_of_one_name_are_refused_and_a_file_named_twice_is_one() {
        assert_eq!(
            added(&[("s3://b/a/x", "x"), ("s3://b/a/x", "x"), ("s3://b/a/y", "y")]).unwrap(),
            ["x", "y"]
        );
        let failure = added(&[("s3://b/1/x", "x"), ("file:///2/x", "x")]).unwrap_err();
        let both = "row.u: s3://b/1/x and file:///2/x have the same name x";
        assert!(!failure.retry && failure.message.starts_with(both), "{failure:?}");
    }

    #[test]
    fn a_key_that_leads_out_of_the_directory_is_refused() {
        for name in ["../x", "a/../../x", "/etc/x", "a//b"] {
            let failure = added(&[("s3://b/folder/x", name)]).unwrap_err();
            assert!(!failure.retry && failure.message.contains("file name"), "{failure:?}");
        }
    }

    #[test]
    fn cleaning_up_leaves_what_was_there_before() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("in");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("old"), "old").unwrap();
        let mut inputs = Inputs::open(&dir).unwrap();
        for name in ["x", "sub/deep/y"] {
            inputs.make_room(&input("s3://b/x", name)).unwrap();
        }
        std::fs::write(dir.join("x"), "").unwrap();
        std::fs::write(copy::part(&dir.join("sub/deep/y")), "half").unwrap();
        std::fs::write(dir.join("made by the program"), "").unwrap();
        let failure = inputs.make_room(&input("s3://b/old", "old")).unwrap_err();
        assert!(failure.message.contains("there already"), "{failure:?}");
        inputs.clean_up();
        assert_eq!(tree::walk(&dir, 10).unwrap().files, ["made by the program", "old"]);
        assert!(!dir.join("sub").exists());
    }

    #[test]
    fn a_directory_of_our_own_goes_with_all_that_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("a/in");
        let inputs = Inputs::open(&dir).unwrap();
        std::fs::create_dir(dir.join("unpacked")).unwrap();
        std::fs::write(dir.join("unpacked/x"), "").unwrap();
        inputs.clean_up();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
