//! How files are asked for on the command line.

use std::path::{Component, Path, PathBuf};

use regex_lite::Regex;

use super::address::Address;
use crate::settings::either;
use crate::task::Started;

/// What is fetched, and what becomes of what the program makes.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Files in and out")]
pub struct Options {
    /// Fetch the files that the row names into this directory before the program starts
    ///
    /// Names are strings anywhere in the row that are s3://bucket/key or file:///path, and with --input-pattern
    /// absolute paths; a / at the end means all files below. The program finds the directory in ROWCALL_INPUT_DIR.
    /// What was fetched is removed at the end.
    #[arg(long, value_name = "DIR", env = "ROWCALL_INPUT_DIR", value_parser = directory)]
    pub input_dir: Option<PathBuf>,
    /// Fetch only files whose URL or path this regular expression matches, such as \.(csv|nc)$
    #[arg(long, value_name = "REGEX", env = "ROWCALL_INPUT_PATTERN", requires = "input_dir", value_parser = regex)]
    pub input_pattern: Option<Regex>,
    /// Look for the names of files only there, such as row.attributes.granule or values.mask; may be repeated
    ///
    /// By default in the whole row, except for result and message of an earlier task in it.
    #[arg(
        long,
        value_name = "PATH",
        env = "ROWCALL_INPUT_FROM",
        requires = "input_dir",
        value_delimiter = ',',
        value_parser = place
    )]
    pub input_from: Vec<String>,
    /// Run the program also if there is nothing to fetch, instead of failing
    #[arg(long, requires = "input_dir")]
    pub input_optional: bool,
    /// The directory in which the program leaves its files; their names, sizes and SHA-256 go into the result
    ///
    /// It must be empty or missing before the program starts, and the program finds it in ROWCALL_OUTPUT_DIR. The
    /// result, an object, gets a key `files`: [{"name", "bytes", "sha256", "url"}].
    #[arg(long, value_name = "DIR", env = "ROWCALL_OUTPUT_DIR", value_parser = directory)]
    pub output_dir: Option<PathBuf>,
    /// Store these files below s3://bucket/prefix/ or a directory after a success, and empty the output directory
    ///
    /// {job}, {attempt} and {task} stand for numbers and name of the attempt. A later try replaces what an earlier
    /// one has stored under the same name. Without this option the files stay where they are.
    #[arg(long, value_name = "URL", env = "ROWCALL_OUTPUT_TO", requires = "output_dir", value_parser = Template::parse)]
    pub output_to: Option<Template>,
    /// Name the bucket in the path of S3's URLs, not in the host name; by default if AWS_ENDPOINT_URL[_S3] is set
    #[arg(long, value_name = "BOOL", env = "ROWCALL_S3_PATH_STYLE", require_equals = true, num_args = 0..=1, default_missing_value = "true")]
    pub s3_path_style: Option<bool>,
}

impl Options {
    /// Says what is wrong with the directories together.
    pub fn check(&self) -> Result<(), String> {
        let (Some(input), Some(output)) = (&self.input_dir, &self.output_dir) else { return Ok(()) };
        if input.starts_with(output) || output.starts_with(input) {
            return Err(format!(
                "--input-dir {} and --output-dir {} must be apart from each other: what is fetched would count as \
                 made, or the other way round",
                input.display(),
                output.display()
            ));
        }
        Ok(())
    }
}

/// Where files go, with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    const PLACEHOLDERS: [&str; 3] = ["{job}", "{attempt}", "{task}"];

    fn parse(text: &str) -> Result<Self, String> {
        let example = Self::PLACEHOLDERS.iter().fold(text.to_owned(), |text, name| text.replace(name, "x"));
        if let Some(at) = example.find(['{', '}']) {
            return Err(format!(
                "a placeholder must be {}, and is {}",
                either(&Self::PLACEHOLDERS),
                example[at..].split_inclusive('}').next().unwrap_or_default()
            ));
        }
        match Address::parse(&example)? {
            Some(Address::File(path)) if path.components().any(|step| step == Component::ParentDir) => {
                Err("a directory for files is named without ..".to_owned())
            }
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("the forms are s3://bucket/prefix/, file:///directory/ and /directory/".to_owned()),
        }
    }

    /// For this attempt.
    pub fn fill(&self, started: &Started) -> Result<Address, String> {
        let filled = self
            .0
            .replace("{job}", &started.job.to_string())
            .replace("{attempt}", &started.attempt.to_string())
            .replace("{task}", &started.task);
        let address =
            Address::parse(&filled)?.ok_or_else(|| format!("--output-to {filled} is not an address"))?;
        Ok(address.into_folder())
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

/// Absolute, so that it is the same for the program wherever that goes.
fn directory(text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    if path.components().any(|step| step == Component::ParentDir) {
        return Err("the directory is named without ..".to_owned());
    }
    if path == Path::new("/") {
        return Err("the root itself cannot be the directory".to_owned());
    }
    Ok(path)
}

fn place(text: &str) -> Result<String, String> {
    let well = matches!(text.split('.').next(), Some("row" | "values" | "row_key"));
    if well { Ok(text.to_owned()) } else { Err("a path begins with row, row_key or values".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;
    use serde_json::Value;

    fn started() -> Started {
        Started {
            job: JobId::new(7),
            attempt: 2,
            task: "resample".to_owned(),
            source_table: None,
            row_key: Value::Null,
            row: None,
            values: Value::Null,
        }
    }

    #[test]
    fn a_destination_is_filled_for_the_attempt_and_always_a_folder() {
        for (template, filled) in [
            ("s3://b/{task}/{job}-{attempt}", "s3://b/resample/7-2/"),
            ("s3://b", "s3://b/"),
            ("/out/{job}/", "file:///out/7/"),
        ] {
            assert_eq!(Template::parse(template).unwrap().fill(&started()).unwrap().to_string(), filled);
        }
    }

    #[test]
    fn a_wrong_destination_says_what_is_allowed() {
        for (template, words) in [
            ("s3://b/{row}/", "a placeholder must be {job}, {attempt} or {task}, and is {row}"),
            ("s3://b/{job", "a placeholder must be {job}, {attempt} or {task}, and is {job"),
            ("out/{job}", "s3://bucket/prefix/"),
            ("https://b/x", "s3://bucket/prefix/"),
            ("s3:///x", "names no bucket"),
            ("/out/../{job}", "without .."),
        ] {
            let why = Template::parse(template).unwrap_err();
            assert!(why.contains(words), "{template}: {why}");
        }
    }

    #[test]
    fn a_directory_is_absolute_and_not_all_there_is() {
        assert!(directory("in").unwrap().is_absolute());
        assert_eq!(directory("/in/./x/").unwrap(), Path::new("/in/x"));
        for wrong in ["/", "", "/in/../x"] {
            assert!(directory(wrong).is_err(), "{wrong}");
        }
    }
}
