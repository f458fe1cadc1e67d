//! The files under `sql/functions`: the functions that each one makes, and the comment that each function gets.
//!
//! A file makes the functions of its own name, all overloads of it and no other. That is how the migrator knows
//! which functions to drop when a file goes, or when it changes the arguments.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use include_dir::{Dir, DirEntry, File, include_dir};
use sha2::{Digest as _, Sha256};

static FUNCTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/functions");

/// One file.
#[derive(Debug, Clone)]
pub(super) struct FunctionFile {
    /// The name of its functions.
    pub name: String,
    /// A checksum of the whole file: a change means that it is applied again.
    pub checksum: String,
    /// A checksum of what callers see (schema, arguments, result): `create or replace` refuses most changes of that.
    pub interface: String,
    text: &'static str,
    comments: Vec<(String, String)>,
}

impl FunctionFile {
    /// The statements that make its functions, comment on them and record the file.
    pub fn sql(&self) -> String {
        let mut sql = String::from(self.text);
        for (signature, comment) in &self.comments {
            let _ = writeln!(sql, "comment on function {signature} is '{}';", comment.replace('\'', "''"));
        }
        let _ = writeln!(
            sql,
            "insert into rowcall_internal.functions (name, checksum, interface) values ('{}', '{}', '{}') on conflict (name) \
             do update set checksum = excluded.checksum, interface = excluded.interface, applied_at = now();",
            self.name, self.checksum, self.interface
        );
        sql
    }
}

/// Every file, in the order of the names.
pub(super) fn function_files() -> anyhow::Result<Vec<FunctionFile>> {
    let mut files = Vec::new();
    walk(&FUNCTIONS, &mut files)?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in files.windows(2) {
        ensure!(pair[0].name != pair[1].name, "two files under sql/functions are named {}.sql", pair[0].name);
    }
    Ok(files)
}

fn walk(dir: &'static Dir<'static>, files: &mut Vec<FunctionFile>) -> anyhow::Result<()> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => walk(dir, files)?,
            DirEntry::File(file) if file.path().extension().is_some_and(|e| e == "sql") => {
                files.push(read(file).with_context(|| file.path().display().to_string())?);
            }
            DirEntry::File(_) => {}
        }
    }
    Ok(())
}

fn read(file: &'static File<'static>) -> anyhow::Result<FunctionFile> {
    let name = file.path().file_stem().and_then(|s| s.to_str()).context("its name is not UTF-8")?.to_owned();
    let text = file.contents_utf8().context("its text is not UTF-8")?;
    parse(name, text)
}

fn parse(name: String, text: &'static str) -> anyhow::Result<FunctionFile> {
    const CREATE: &str = "create or replace function ";
    ensure!(
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        "a file is named in lower-case letters, digits and _"
    );
    let mut comments = Vec::new();
    let mut interfaces = String::new();
    let mut before = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(comment) = line.strip_prefix("--") {
            before.push(comment.trim());
        } else if line.starts_with(CREATE) {
            let rest = &text[at + CREATE.len()..];
            let (qualified, arguments, result) = signature(rest)?;
            ensure!(
                qualified.split_once('.').is_some_and(|(_, function)| function == name),
                "it makes {qualified}; a file makes only the functions of its own name"
            );
            let comment = if before.is_empty() { header(text) } else { paragraphs(&before) };
            ensure!(!comment.is_empty(), "{qualified} has no comment above it");
            comments.push((format!("{qualified}({})", without_defaults(&arguments).join(", ")), comment));
            let _ = writeln!(interfaces, "{qualified}({}) {result}", arguments.join(", "));
            before.clear();
        } else {
            before.clear();
        }
        at += line.len();
    }
    ensure!(!comments.is_empty(), "it makes no function");
    Ok(FunctionFile { name, checksum: checksum(text), interface: checksum(&interfaces), text, comments })
}

/// The name, the arguments and the result of a function: `rest` begins after "create or replace function".
fn signature(rest: &str) -> anyhow::Result<(String, Vec<String>, String)> {
    let (name, rest) = rest.split_once('(').context("a function has no argument list")?;
    let mut arguments = vec![String::new()];
    let (mut depth, mut quoted, mut comment) = (0, None, false);
    let mut characters = rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if comment {
            comment = c != '\n';
            continue;
        }
        match (quoted, c) {
            (Some(quote), _) => quoted = (c != quote).then_some(quote),
            (None, '\'' | '"') => quoted = Some(c),
            (None, '-') if characters.peek().is_some_and(|(_, next)| *next == '-') => {
                comment = true;
                continue;
            }
            (None, '(' | '[') => depth += 1,
            (None, ')') if depth == 0 => {
                let words = arguments.iter().map(|a| a.split_whitespace().collect::<Vec<_>>().join(" "));
                let result = rest[at + 1..].split_whitespace().take_while(|w| *w != "language" && *w != "as");
                let result = result.collect::<Vec<_>>().join(" ");
                return Ok((name.trim().to_owned(), words.filter(|a| !a.is_empty()).collect(), result));
            }
            (None, ']' | ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(argument) = arguments.last_mut() {
            argument.push(c);
        }
    }
    bail!("the argument list of {name} does not end")
}

fn without_defaults(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(|a| a.split_once(" default ").map_or(a.as_str(), |(before, _)| before)).collect()
}

fn header(text: &str) -> String {
    let lines: Vec<_> = text.lines().map_while(|line| line.strip_prefix("--")).map(str::trim).collect();
    paragraphs(&lines)
}

/// Lines of a comment as running text: psql wraps them itself. An empty line stays.
fn paragraphs(lines: &[&str]) -> String {
    let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn checksum(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_makes_the_functions_of_its_name() {
        assert!(function_files().unwrap().len() > 50);
    }

    #[test]
    fn each_overload_is_commented_by_the_lines_above_it() {
        let text = "-- Stops a job,\n-- at once.\n--\n-- It's safe.\ncreate or replace function s.f(a int default 1,\n    \
                    -- a, (comment\n    b text[] default '{a,b}', out c numeric(3, 1)) returns void\nlanguage sql as $$ select 1 $$;\n\n\
                    -- The same.\ncreate or replace function s.f() returns int language sql as $$ select 1 $$;\n\
                    create or replace function s.f(int) returns int language sql as $$ select 1 $$;\n";
        let file = parse("f".to_owned(), text).unwrap();
        let wanted = [
            ("s.f(a int, b text[], out c numeric(3, 1))", "Stops a job, at once.\n\nIt's safe."),
            ("s.f()", "The same."),
            ("s.f(int)", "Stops a job, at once.\n\nIt's safe."),
        ];
        let got: Vec<_> = file.comments.iter().map(|(s, c)| (s.as_str(), c.as_str())).collect();
        assert_eq!(got, wanted);
        assert!(file.sql().contains("is 'Stops a job, at once.\n\nIt''s safe.';"));
    }

    #[test]
    fn only_what_callers_see_changes_the_interface() {
        let interface = |text| parse("f".to_owned(), text).unwrap().interface;
        let before =
            interface("-- A.\ncreate or replace function s.f(a int) returns int\nlanguage sql as $$ 1 $$;\n");
        let body =
            interface("-- B.\ncreate or replace function s.f(a int) returns int\nlanguage sql as $$ 2 $$;\n");
        assert_eq!(body, before);
        for changed in [
            "-- A.\ncreate or replace function s.f(a text) returns int\nlanguage sql as $$ 1 $$;\n",
            "-- A.\ncreate or replace function s.f(a int) returns text\nlanguage sql as $$ 1 $$;\n",
            "-- A.\ncreate or replace function t.f(a int) returns int\nlanguage sql as $$ 1 $$;\n",
        ] {
            assert_ne!(interface(changed), before, "{changed}");
        }
    }

    #[test]
    fn a_file_that_makes_another_function_is_refused() {
        for text in
            ["-- A.\ncreate or replace function s.g() returns int language sql as $$ 1 $$;\n", "-- A.\n"]
        {
            assert!(parse("f".to_owned(), text).is_err(), "{text}");
        }
    }
}
