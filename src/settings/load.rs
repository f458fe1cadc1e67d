//! Puts the layers together and says plainly what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use thiserror::Error;

use super::similar_word::did_you_mean;
use super::{DockerSettings, Settings};

const DEFAULTS: &str = include_str!("../../config/rowcall.toml");
const PREFIX: &str = "ROWCALL_";

/// Variables with our prefix that are not settings: where the file is, and what tasks are given (a daemon or a command
/// may well be started from within a task).
const NOT_SETTINGS: [&str; 18] = [
    "ROWCALL_CONFIG",
    "ROWCALL_JOB",
    "ROWCALL_ATTEMPT",
    "ROWCALL_TOKEN",
    "ROWCALL_LAUNCH",
    "ROWCALL_DATABASE_URL",
    "ROWCALL_TEST_DATABASE_URL",
    "ROWCALL_EXECUTOR",
    "ROWCALL_STOP_GRACE",
    "ROWCALL_PROGRESS_FILE",
    "ROWCALL_RESULT_FILE",
    "ROWCALL_LOCAL_INPUT",
    "ROWCALL_LOCAL_OUTPUT",
    "ROWCALL_INPUT_DIR",
    "ROWCALL_INPUT_FROM",
    "ROWCALL_INPUT_PATTERN",
    "ROWCALL_OUTPUT_DIR",
    "ROWCALL_OUTPUT_TO",
];

/// Where settings come from besides the defaults.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    /// A file of the operator's.
    pub file: Option<PathBuf>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// Flags, as dotted keys: they win over everything.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The environment of this process, with a settings file from a flag or from `ROWCALL_CONFIG`.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>) -> Self {
        let environment: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        let file = file.or_else(|| environment.get("ROWCALL_CONFIG").map(PathBuf::from));
        Self { file, environment, flags: Vec::new() }
    }

    /// The same with one more flag.
    #[must_use]
    pub fn with_flag(mut self, key: &str, value: impl Into<String>) -> Self {
        self.flags.push((key.to_owned(), value.into()));
        self
    }
}

/// Why settings could not be used. The text names the key and where it came from.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A file that cannot be read or is not TOML.
    #[error("settings file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that does not exist.
    #[error("{origin}: there is no setting {key}{hint}")]
    UnknownKey {
        /// The file or variable.
        origin: String,
        /// The key as given.
        key: String,
        /// A likely meant key, if one is near.
        hint: String,
    },
    /// A value of the wrong form.
    #[error("{0}")]
    Value(String),
}

/// Reads all layers.
pub fn load(sources: &Sources) -> Result<Settings, SettingsError> {
    let defaults = layer(DEFAULTS, "config/rowcall.toml")?;
    let known = leaf_keys(&defaults);
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));

    if let Some(path) = &sources.file {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| SettingsError::File { path: shown.clone(), reason: e.to_string() })?;
        let given = layer(&text, &shown)?;
        for key in leaf_keys(&given) {
            check_key(&key, &known, &shown)?;
            check_duration(&key, at(&given, &key), at(&defaults, &key), &shown)?;
        }
        builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
    }
    for (key, value, origin) in environment_values(sources, &known)? {
        builder = set(builder, &key, &value, &defaults, &origin)?;
    }
    for (key, value) in &sources.flags {
        builder = set(builder, key, value, &defaults, "flag")?;
    }

    let settings: Settings =
        builder.build().and_then(Config::try_deserialize).map_err(|e| SettingsError::Value(e.to_string()))?;
    check(&settings)?;
    Ok(settings)
}

/// One file's tables, as the `config` crate sees them.
fn layer(text: &str, origin: &str) -> Result<Map<String, Value>, SettingsError> {
    parse(text).map_err(|error| {
        let reason = match first_wrong_line(text) {
            Some((number, key)) if !error.contains("line ") => format!("line {number} ({key}): {error}"),
            _ => error,
        };
        SettingsError::File { path: origin.to_owned(), reason }
    })
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    File::from_str(text, FileFormat::Toml).collect().map_err(|error| error.to_string())
}

/// The line with which a file stops being TOML, and its key: not every error names them. Without the value, which may be a secret.
fn first_wrong_line(text: &str) -> Option<(usize, &str)> {
    let ends = text.match_indices('\n').map(|(at, _)| at).chain([text.len()]);
    let (at, end) = ends.enumerate().find(|(_, end)| parse(&text[..*end]).is_err())?;
    let line = text[..end].lines().last()?;
    Some((at + 1, line.split('=').next().unwrap_or(line).trim()))
}

/// Dotted names of everything that is not itself a table.
fn leaf_keys(tables: &Map<String, Value>) -> BTreeSet<String> {
    fn walk(prefix: &str, value: &Value, keys: &mut BTreeSet<String>) {
        match &value.kind {
            ValueKind::Table(table) => {
                for (name, value) in table {
                    walk(&format!("{prefix}.{name}"), value, keys);
                }
            }
            _ => {
                keys.insert(prefix.to_owned());
            }
        }
    }
    let mut keys = BTreeSet::new();
    for (name, value) in tables {
        walk(name, value, &mut keys);
    }
    keys
}

fn check_key(key: &str, known: &BTreeSet<String>, origin: &str) -> Result<(), SettingsError> {
    if known.contains(key) {
        return Ok(());
    }
    let meant = did_you_mean(key, known.iter().map(String::as_str));
    let hint = if meant.is_empty() { "; config/rowcall.toml lists them all".to_owned() } else { meant };
    Err(SettingsError::UnknownKey { origin: origin.to_owned(), key: key.to_owned(), hint })
}

/// What stands at a dotted key.
fn at<'a>(tables: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let mut tables = tables;
    let mut found = None;
    for part in key.split('.') {
        found = tables.get(part);
        if let Some(ValueKind::Table(inner)) = found.map(|value| &value.kind) {
            tables = inner;
        }
    }
    found
}

/// Where the default is a duration: that the value is one, too. The reader of the whole would name neither file nor form.
fn check_duration(
    key: &str,
    value: Option<&Value>,
    default: Option<&Value>,
    origin: &str,
) -> Result<(), SettingsError> {
    let is_duration = |value: &Value| match &value.kind {
        ValueKind::String(text) => humantime::parse_duration(text).is_ok(),
        _ => false,
    };
    let (Some(value), Some(true)) = (value, default.map(is_duration)) else { return Ok(()) };
    if is_duration(value) {
        return Ok(());
    }
    Err(SettingsError::Value(format!(
        "{origin}: {key} must be a duration with its unit, such as 500ms, 10s or 5m, and is {value}"
    )))
}

fn environment_values(
    sources: &Sources,
    known: &BTreeSet<String>,
) -> Result<Vec<(String, String, String)>, SettingsError> {
    let mut values = Vec::new();
    if let Some(url) = sources.environment.get("DATABASE_URL") {
        values.push(("database.url".to_owned(), url.clone(), "environment variable DATABASE_URL".to_owned()));
    }
    for (name, value) in &sources.environment {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let key = rest.to_lowercase().replace("__", ".");
        let origin = format!("environment variable {name}");
        check_key(&key, known, &origin)?;
        values.push((key, value.clone(), origin));
    }
    Ok(values)
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

/// Sets one value given as text, in the form its default has: lists are written with commas.
fn set(
    builder: Builder,
    key: &str,
    text: &str,
    defaults: &Map<String, Value>,
    origin: &str,
) -> Result<Builder, SettingsError> {
    let default = at(defaults, key);
    // A value that may be a secret is not repeated in the error.
    let wrong = |form: &str| SettingsError::Value(format!("{origin}: {key} must be {form}"));
    let kind = match default.map(|v| &v.kind) {
        Some(ValueKind::Boolean(_)) => ValueKind::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        Some(ValueKind::Float(_)) => ValueKind::Float(text.parse().map_err(|_| wrong("a number"))?),
        Some(ValueKind::I64(_)) => ValueKind::I64(text.parse().map_err(|_| wrong("an integer"))?),
        Some(ValueKind::Array(_)) => ValueKind::Array(
            text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(Value::from).collect(),
        ),
        _ => ValueKind::String(text.to_owned()),
    };
    let value = Value::new(Some(&origin.to_owned()), kind);
    check_duration(key, Some(&value), default, origin)?;
    builder.set_override(key, value).map_err(|e| SettingsError::Value(e.to_string()))
}

/// What types cannot say.
fn check(settings: &Settings) -> Result<(), SettingsError> {
    let d = &settings.dispatcher;
    let positive = [
        ("database.pool_size", settings.database.pool_size),
        ("dispatcher.batch", d.batch),
        ("dispatcher.launch_concurrency", d.launch_concurrency),
        ("runners.process.output_limit", settings.runners.process.output_limit),
        ("runners.docker.max_running", settings.runners.docker.max_running),
        ("runners.docker.output_limit", settings.runners.docker.output_limit),
        ("runners.ecs.max_running", settings.runners.ecs.max_running),
        ("runners.ecs.output_limit", settings.runners.ecs.output_limit),
        ("runners.lambda.max_running", settings.runners.lambda.max_running),
        ("runners.lambda.result_limit", settings.runners.lambda.result_limit),
    ];
    if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
        return Err(SettingsError::Value(format!("{key} must be at least 1")));
    }
    let intervals = [
        ("dispatcher.poll_interval", d.poll_interval),
        ("dispatcher.poll_interval_without_listen", d.poll_interval_without_listen),
        ("dispatcher.priority_ageing", d.priority_ageing),
        ("dispatcher.probe_interval", d.probe_interval),
        ("dispatcher.watch_interval", d.watch_interval),
        ("dispatcher.heartbeat_interval", d.heartbeat_interval),
        ("dispatcher.heartbeat_interval_when_idle", d.heartbeat_interval_when_idle),
        ("dispatcher.janitor_interval", d.janitor_interval),
    ];
    if let Some((key, _)) = intervals.iter().find(|(_, value)| value.as_millis() < 10) {
        return Err(SettingsError::Value(format!("{key} must be at least 10ms")));
    }
    if d.dead_after < 2 * d.heartbeat_interval {
        return Err(SettingsError::Value(
            "dispatcher.dead_after must be at least twice dispatcher.heartbeat_interval".to_owned(),
        ));
    }
    if d.max_runner_failures < 1 {
        return Err(SettingsError::Value("dispatcher.max_runner_failures must be at least 1".to_owned()));
    }
    let rates = [
        ("runners.ecs.run_task_rate", settings.runners.ecs.run_task_rate),
        ("runners.ecs.read_rate", settings.runners.ecs.read_rate),
    ];
    if let Some((key, _)) = rates.iter().find(|(_, rate)| !(0.1..=1000.0).contains(rate)) {
        return Err(SettingsError::Value(format!("{key} must be from 0.1 to 1000")));
    }
    if let Some(program) = settings.runners.process.programs.iter().find(|p| !p.starts_with('/')) {
        return Err(SettingsError::Value(format!(
            "runners.process.programs: {program:?} must be a full path"
        )));
    }
    check_docker(&settings.runners.docker)
}

/// A rule that could never apply would keep from nothing.
fn check_docker(docker: &DockerSettings) -> Result<(), SettingsError> {
    if !["missing", "always", "never"].contains(&docker.pull.as_str()) {
        return Err(SettingsError::Value("runners.docker.pull must be missing, always or never".to_owned()));
    }
    let wrong = |mount: &&String| {
        let place = mount.strip_suffix(":ro").unwrap_or(mount);
        place.is_empty() || place.contains(':') || place.contains('/') && !place.starts_with('/')
    };
    if let Some(mount) = docker.mounts.iter().find(wrong) {
        return Err(SettingsError::Value(format!(
            "runners.docker.mounts: {mount:?} must be a full path or the name of a volume, with :ro behind it or not"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(file: &str, environment: &[(&str, &str)]) -> (tempfile::NamedTempFile, Sources) {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), file).unwrap();
        let sources = Sources {
            file: Some(path.path().to_owned()),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            flags: Vec::new(),
        };
        (path, sources)
    }

    fn error(file: &str, environment: &[(&str, &str)]) -> String {
        let (_path, sources) = sources(file, environment);
        load(&sources).unwrap_err().to_string()
    }

    #[test]
    fn a_duration_without_its_unit_is_told_the_form() {
        let form = "must be a duration with its unit, such as 500ms, 10s or 5m, and is";
        let said = error("[dispatcher]\npoll_interval = 5\n", &[]);
        assert!(said.ends_with(&format!("dispatcher.poll_interval {form} 5")), "{said}");
        let said = error("[history]\nkeep = 'long'\n", &[]);
        assert!(said.contains(&format!("history.keep {form} long")), "{said}");
        let said = error("", &[("ROWCALL_DISPATCHER__POLL_INTERVAL", "5")]);
        let origin = "environment variable ROWCALL_DISPATCHER__POLL_INTERVAL";
        assert_eq!(said, format!("{origin}: dispatcher.poll_interval {form} 5"));
    }

    #[test]
    fn documented_defaults_are_complete() {
        let settings = load(&Sources::default()).unwrap();
        assert_eq!(settings.dispatcher.batch, 500);
        assert!(!settings.runners.process.enabled);
    }

    #[test]
    fn what_tasks_are_given_is_no_setting() {
        let given: Vec<_> = NOT_SETTINGS
            .iter()
            .map(|name| (*name, "x"))
            .filter(|(name, _)| *name != "ROWCALL_CONFIG")
            .collect();
        let (_path, sources) = sources("", &given);
        assert!(load(&sources).is_ok());
        assert!(error("", &[("ROWCALL_RESULT_FILES", "x")]).contains("ROWCALL_RESULT_FILES"));
    }

    #[test]
    fn environment_wins_over_file_and_flag_over_environment() {
        let (_path, sources) = sources(
            "[dispatcher]\nbatch = 7\nhost = 'file'\n",
            &[("ROWCALL_DISPATCHER__BATCH", "8"), ("DATABASE_URL", "postgresql://db")],
        );
        let settings = load(&sources.with_flag("dispatcher.batch", "9")).unwrap();
        assert_eq!(settings.dispatcher.batch, 9);
        assert_eq!(settings.dispatcher.host, "file");
        assert_eq!(settings.database.url, "postgresql://db");
    }

    #[test]
    fn lists_come_from_the_environment_with_commas() {
        let (_path, sources) = sources("", &[("ROWCALL_RUNNERS__PROCESS__PROGRAMS", "/a/b, /opt/tasks/")]);
        assert_eq!(load(&sources).unwrap().runners.process.programs, ["/a/b", "/opt/tasks/"]);
    }

    #[test]
    fn a_wrong_key_is_named_with_what_was_meant() {
        let text = error("[dispatcher]\npol_interval = '1s'\n", &[]);
        assert!(text.contains("dispatcher.pol_interval"), "{text}");
        assert!(text.contains("did you mean dispatcher.poll_interval"), "{text}");
        let text = error("", &[("ROWCALL_DISPATCHER__BATCHES", "1")]);
        assert!(text.contains("ROWCALL_DISPATCHER__BATCHES"), "{text}");
        assert!(text.contains("did you mean dispatcher.batch"), "{text}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key() {
        let text = error("[dispatcher]\npoll_interval = 'soon'\n", &[]);
        assert!(text.contains("dispatcher.poll_interval"), "{text}");
        let text = error("", &[("ROWCALL_DISPATCHER__BATCH", "many")]);
        assert!(text.contains("dispatcher.batch must be an integer"), "{text}");
        let text = error("[log]\nformat = 'xml'\n", &[]);
        assert!(text.contains("xml") && text.contains("human"), "{text}");
        let text = error("[dispatcher]\nbatch = 0\n", &[]);
        assert!(text.contains("dispatcher.batch must be at least 1"), "{text}");
    }

    #[test]
    fn a_secret_is_in_no_debug_output() {
        let (_path, sources) = sources("", &[("DATABASE_URL", "postgresql://u:hunter2@db")]);
        assert!(!format!("{:?}", load(&sources).unwrap()).contains("hunter2"));
    }
}
