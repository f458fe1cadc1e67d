//! Loads a CSV file into a table: a task that speaks to Rowcall in plain SQL.
//!
//! The row says what to load in its `attributes`:
//!
//! - `path`: the file. UTF-8, first line the header.
//! - `table`: where to; by default what the file is called without its extension. `schema`: by default `public`.
//! - `if_exists`: `fail` (default), `replace` (the table is dropped) or `append` (columns are found by name).
//! - `delimiter`: one character; by default a comma.
//!
//! Columns are called what the header says, letter for letter, without the space around it, so a name such as
//! `Unit Price` must be quoted in SQL. Only what Postgres cannot take is changed: an empty name becomes
//! `column_<number>`, a name of more than 63 bytes is cut, and one that is taken (by a column before it, or by
//! Postgres itself, as `xmin` is) gets `_2`, `_3`, … at its end.
//!
//! A column is bigint if all its values are written like 12 or -3, numeric if some are written like 4.50 or have
//! too many digits, otherwise text (so is 007, which as a number would lose its zeros). Empty is null.
//!
//! The file is read twice, to choose the types and to load, and never held in memory.

use std::collections::HashSet;
use std::error::Error as _;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord};
use postgres::Client;
use rowcall::database::{Address, Connector};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(expecting = "an object such as {\"path\": \"airports.csv\"}")]
struct Attributes {
    path: String,
    table: Option<String>,
    #[serde(default = "public")]
    schema: String,
    #[serde(default = "comma")]
    delimiter: char,
    #[serde(default)]
    if_exists: IfExists,
}

fn public() -> String {
    "public".to_owned()
}

fn comma() -> char {
    ','
}

/// The words of pandas' `to_sql`.
#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum IfExists {
    #[default]
    Fail,
    Replace,
    Append,
}

/// Why the file was not loaded.
struct Failure {
    message: String,
    /// Whether it may go better the next time.
    retry: bool,
    /// The attempt is over or another's, so there is nothing to report to.
    over: bool,
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure { message: message.into(), retry: false, over: false }
}

/// Files may arrive late and disks may come back.
fn unreadable(what: &str, path: &str, error: &io::Error) -> Failure {
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    Failure { message: format!("cannot {what} {path}: {reason}"), retry: true, over: false }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            let reason = error.source().map_or(String::new(), |source| format!(": {source}"));
            return Self { message: format!("database: {error}{reason}"), retry: true, over: false };
        };
        let code = db.code().code();
        // COPY says in its context which line and column it did not like.
        let place = db.where_().and_then(|w| w.lines().next()).filter(|w| w.starts_with("COPY "));
        Self {
            message: place.map_or(db.message().to_owned(), |place| {
                // It counts what we send, and that is not the lines of the file.
                format!("{} ({})", db.message(), place.replacen(", line ", ", record ", 1))
            }),
            // Values, constraints, dependent views, names, rights, limits: as wrong the next time.
            retry: !["22", "23", "2B", "3F", "42", "54"].iter().any(|class| code.starts_with(class)),
            over: ["RC001", "RC002", "RC003"].contains(&code),
        }
    }
}

/// The connection that speaks for the attempt, while another one is busy loading.
struct Attempt {
    client: Client,
    token: String,
    last_progress: Instant,
}

impl Attempt {
    /// Tells how far we are, now and then. If the attempt is over, the error stops the load.
    fn progress(&mut self, done: f64, doing: &str) -> Result<(), Failure> {
        if self.last_progress.elapsed() >= Duration::from_secs(2) {
            self.last_progress = Instant::now();
            let fraction = done.clamp(0.0, 1.0) as f32;
            self.client
                .execute("select rowcall.task_progress($1, $2, $3)", &[&self.token, &fraction, &doing])?;
        }
        Ok(())
    }
}

fn main() {
    if let Err(failure) = run() {
        eprintln!("file_loader: {}", failure.message);
        std::process::exit(1);
    }
}

fn run() -> Result<(), Failure> {
    let variable = |name| {
        let problem =
            "is not set; the dispatcher sets it (the URL if its setting tasks.database_url is filled)";
        std::env::var(name).map_err(|_| wrong(format!("{name} {problem}")))
    };
    let (token, url) = (variable("ROWCALL_TOKEN")?, variable("ROWCALL_DATABASE_URL")?);
    let mut client = connect(&url)?;
    // Under `rowcall-task exec` the attempt is started already, by an executor whose name we are told. Without a
    // name we may ask only once, which we do.
    let executor = std::env::var("ROWCALL_EXECUTOR").ok();
    let work = client.query_one("select * from rowcall.task_start($1, $2)", &[&token, &executor])?;
    let row: Option<Value> = work.try_get("row_data")?;
    let mut attempt = Attempt { client, token, last_progress: Instant::now() };

    let loaded = Attributes::deserialize(&row.unwrap_or_default()["attributes"])
        .map_err(|error| wrong(format!("attributes: {error}")))
        .and_then(|attributes| load(&attributes, &mut attempt, &url));
    if let Err(failure) = &loaded
        && !failure.over
    {
        let Attempt { client, token, .. } = &mut attempt;
        let (message, retry) = (&failure.message, failure.retry);
        let told = client.execute("select rowcall.task_fail($1, $2, retry => $3)", &[token, message, &retry]);
        if let Err(error) = told {
            eprintln!("file_loader: the failure was not reported: {}", Failure::from(error).message);
        }
    }
    loaded
}

/// As libpq connects: encrypted where the server offers it, or as the address says (`sslmode`, `sslrootcert`, …). RDS takes no
/// other connections.
fn connect(url: &str) -> Result<Client, Failure> {
    let connector = Address::parse(url)
        .and_then(|address| Connector::new(address, Duration::from_secs(10)))
        .map_err(|error| wrong(format!("ROWCALL_DATABASE_URL: {error}")))?;
    Ok(postgres::Config::from(connector.config().clone()).connect(connector.encryption())?)
}

fn load(attributes: &Attributes, attempt: &mut Attempt, url: &str) -> Result<(), Failure> {
    let begin = Instant::now();
    let path = &attributes.path;
    let source = Source::open(path, attributes.delimiter)?;
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = attributes.table.as_deref().unwrap_or(stem);
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(wrong(format!("attributes.table: {name:?} must have 1 to {MAX_NAME} bytes")));
    }
    let table = format!("{}.{}", quoted(&attributes.schema), quoted(name));

    let header = source.header()?;
    let names: Vec<String> = column_names(&header).iter().map(|name| quoted(name)).collect();
    // Whatever is wrong with the file is found here, before anything is loaded.
    let mut kinds = vec![Kind::Empty; header.len()];
    source.for_each(|record, done| {
        for (kind, value) in kinds.iter_mut().zip(record).filter(|(kind, _)| **kind != Kind::Text) {
            *kind = Kind::of(value).max(*kind);
        }
        attempt.progress(done / 2.0, "reading")
    })?;

    let mut client = connect(url)?;
    let mut transaction = client.transaction()?;
    // Two loads into one table take turns.
    transaction.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", &[&table])?;
    if attributes.if_exists == IfExists::Replace {
        transaction.batch_execute(&format!("drop table if exists {table}"))?;
    }
    let or_not = if attributes.if_exists == IfExists::Append { "if not exists " } else { "" };
    let columns: Vec<String> =
        names.iter().zip(&kinds).map(|(n, kind)| format!("{n} {}", kind.sql())).collect();
    transaction.batch_execute(&format!("create table {or_not}{table} ({})", columns.join(", ")))?;

    let mut copy = transaction.copy_in(&format!("copy {table} ({}) from stdin", names.join(", ")))?;
    let mut line = String::new();
    source.for_each(|record, done| {
        copy_line(record, &mut line);
        copy.write_all(line.as_bytes()).map_err(|error| match error.downcast::<postgres::Error>() {
            Ok(error) => error.into(),
            Err(error) => unreadable("load", path, &error),
        })?;
        attempt.progress(0.5 + done / 2.0, "loading")
    })?;
    let record_count = copy.finish()?;

    // In the transaction of the load: both are done or neither, whichever program dies.
    let seconds = (begin.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let result = json!({ "table": name, "record_count": record_count, "seconds": seconds });
    transaction.execute("select rowcall.task_succeed($1, $2)", &[&attempt.token, &result])?;
    transaction.commit()?;
    println!("{result}");
    Ok(())
}

/// Follows the file's last byte. It shows where a quote was never closed, for then it is in a field.
const END: &str = "\n\0";

/// The file, open: it stays the same file if another one gets its name meanwhile.
struct Source<'a> {
    path: &'a str,
    file: File,
    size: f64,
    delimiter: u8,
}

impl<'a> Source<'a> {
    fn open(path: &'a str, delimiter: char) -> Result<Self, Failure> {
        let Some(delimiter) =
            u8::try_from(delimiter).ok().filter(|d| d.is_ascii() && !b"\"\r\n\0".contains(d))
        else {
            return Err(wrong(format!("attributes.delimiter: {delimiter:?} cannot be one")));
        };
        let file = File::open(path).map_err(|error| unreadable("open", path, &error))?;
        let size = file.metadata().map_err(|error| unreadable("read", path, &error))?.len() as f64;
        Ok(Self { path, file, size, delimiter })
    }

    fn reader(&self) -> Result<Reader<impl Read>, Failure> {
        (&self.file).rewind().map_err(|error| unreadable("read", self.path, &error))?;
        let mut builder = ReaderBuilder::new();
        builder.delimiter(self.delimiter).flexible(true).buffer_capacity(1 << 16);
        Ok(builder.from_reader((&self.file).chain(END.as_bytes())))
    }

    fn header(&self) -> Result<StringRecord, Failure> {
        let mut reader = self.reader()?;
        let header = reader.headers().map_err(|error| self.explain(&error))?;
        if header.is_empty() || *header == *["\0"].as_slice() {
            return Err(wrong(format!("{} is empty: it has not even a header", self.path)));
        }
        self.check(header, header.len())?;
        Ok(header.clone())
    }

    /// Hands over the records after the header, and how much of the file is read.
    fn for_each(
        &self,
        mut each: impl FnMut(&StringRecord, f64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut reader = self.reader()?;
        let columns = reader.headers().map_err(|error| self.explain(&error))?.len();
        let mut next = |record: &mut _| reader.read_record(record).map_err(|error| self.explain(&error));
        let mut record = StringRecord::new();
        while next(&mut record)? {
            if record == *["\0"].as_slice() && !next(&mut StringRecord::new())? {
                break;
            }
            self.check(&record, columns)?;
            each(&record, record.position().map_or(0.0, |position| position.byte() as f64 / self.size))?;
        }
        Ok(())
    }

    fn check(&self, record: &StringRecord, columns: usize) -> Result<(), Failure> {
        let problem = if record.as_slice().ends_with(END) {
            "a quote is opened and never closed".to_owned()
        } else if record.as_slice().contains('\0') {
            "a NUL character, which Postgres cannot store".to_owned()
        } else if record.len() != columns {
            format!("{} field(s), where the header has {columns}", record.len())
        } else {
            return Ok(());
        };
        Err(wrong(format!("{}, line {}: {problem}", self.path, self.line(record.position()))))
    }

    fn explain(&self, error: &csv::Error) -> Failure {
        match error.kind() {
            ErrorKind::Io(error) => unreadable("read", self.path, error),
            ErrorKind::Utf8 { pos, .. } => {
                wrong(format!("{}, line {}: this is not UTF-8", self.path, self.line(pos.as_ref())))
            }
            _ => wrong(format!("{}: {error}", self.path)),
        }
    }

    /// The line of a record. Its position is where the one before ended, maybe some line ends earlier.
    fn line(&self, position: Option<&Position>) -> usize {
        let begin = position.map_or(0, |position| position.byte() as usize);
        let Ok(()) = (&self.file).rewind() else { return 0 };
        let bytes = BufReader::new(&self.file).bytes().map_while(Result::ok).enumerate();
        1 + bytes.take_while(|(i, b)| *i < begin || b"\r\n".contains(b)).filter(|(_, b)| *b == b'\n').count()
    }
}

/// Postgres cuts longer names without a word.
const MAX_NAME: usize = 63;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The rule is at the top of this file.
fn column_names(header: &StringRecord) -> Vec<String> {
    let cut = |name: &str, length| {
        let mut name = name.to_owned();
        while name.len() > length {
            name.pop();
        }
        name
    };
    let mut taken = HashSet::from(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"].map(str::to_owned));
    let mut names = Vec::with_capacity(header.len());
    for (i, name) in header.iter().enumerate() {
        let name = match name.trim() {
            "" => format!("column_{}", i + 1),
            name => cut(name, MAX_NAME),
        };
        let numbered = (2..).map(|n| format!("_{n}")).map(|end| cut(&name, MAX_NAME - end.len()) + &end);
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
        names.extend(free);
    }
    names
}

/// What the values of a column have been so far; each can hold what those before it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Empty,
    Integer,
    Decimal,
    Text,
}

impl Kind {
    fn of(value: &str) -> Self {
        let unsigned = value.strip_prefix('-').unwrap_or(value);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if value.is_empty() {
            Self::Empty
        } else if !digits(whole) || !digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
            Self::Text
        } else if value.parse::<i64>().is_ok() {
            Self::Integer
        } else {
            Self::Decimal
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Integer => "bigint",
            Self::Decimal => "numeric",
            Self::Empty | Self::Text => "text",
        }
    }
}

/// One line of COPY's text format: nothing in a value can be taken for anything else.
fn copy_line(record: &StringRecord, line: &mut String) {
    line.clear();
    for (i, value) in record.iter().enumerate() {
        if i > 0 {
            line.push('\t');
        }
        if value.is_empty() {
            line.push_str("\\N");
        }
        for c in value.chars() {
            match c {
                '\\' => line.push_str("\\\\"),
                '\t' => line.push_str("\\t"),
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                c => line.push(c),
            }
        }
    }
    line.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &[&str]) -> Vec<String> {
        column_names(&StringRecord::from(header.to_vec()))
    }

    #[test]
    fn a_name_is_kept_unless_postgres_cannot_take_it() {
        assert_eq!(
            names(&["iata", " Unit Price ", "select", "a\"b"]),
            ["iata", "Unit Price", "select", "a\"b"]
        );
        assert_eq!(names(&["", "a", " "]), ["column_1", "a", "column_3"]);
        assert_eq!(names(&["a", "A", "a", "a_2", "a"]), ["a", "A", "a_2", "a_2_2", "a_3"]);
        assert_eq!(names(&["xmin", "ymin"]), ["xmin_2", "ymin"]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_stays_unique() {
        let long = format!("x{}", "é".repeat(40));
        let names = names(&[&long, &long]);
        assert_eq!(names, [format!("x{}", "é".repeat(31)), format!("x{}_2", "é".repeat(30))]);
        assert!(names.iter().all(|name| name.len() <= MAX_NAME));
    }

    #[test]
    fn a_value_is_a_number_only_if_nothing_of_it_is_lost() {
        let of = |values: &[&str], kind| values.iter().for_each(|v| assert_eq!(Kind::of(v), kind, "{v}"));
        of(&[""], Kind::Empty);
        of(&["0", "-3", "9223372036854775807", "-9223372036854775808"], Kind::Integer);
        of(&["9223372036854775808", "4.50", "-0.5", "0.0"], Kind::Decimal);
        of(
            &["007", "+3", "1e5", ".5", "5.", "1,000", "--1", "-", " 1", "NaN", "٣", "00.5", "1.2.3"],
            Kind::Text,
        );
    }

    #[test]
    fn the_widest_kind_wins() {
        let widest = |values: &[&str]| values.iter().map(|v| Kind::of(v)).max().map(Kind::sql);
        assert_eq!(widest(&["", "1", ""]), Some("bigint"));
        assert_eq!(widest(&["1", "2.5"]), Some("numeric"));
        assert_eq!(widest(&["1", "x", "2.5"]), Some("text"));
        assert_eq!(widest(&["", ""]), Some("text"));
    }

    #[test]
    fn a_line_for_copy_hides_what_copy_would_act_on() {
        let mut line = String::new();
        copy_line(&StringRecord::from(vec!["a\tb", "", "\\.", "c\r\nd", "\\N"]), &mut line);
        assert_eq!(line, "a\\tb\t\\N\t\\\\.\tc\\r\\nd\t\\\\N\n");
    }
}
