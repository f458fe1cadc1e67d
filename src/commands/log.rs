//! The log: to standard error, since standard output belongs to what a command prints.

use std::fmt;
use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use rowcall::settings::{LogFormat, LogSettings};
use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// These libraries repeat our errors in their own words, or log what they send and receive: tokens, payloads and rendered
/// environments.
const QUIET: [&str; 4] =
    ["bollard=warn", "tokio_postgres::query=info", "deadpool.postgres=off", "aws_config=error"];

/// Fields that hold JSON. `tracing` has no such values: they come as strings.
const JSON: [&str; 2] = ["key", "runners"];

/// Begins to log.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let level = settings.level.as_str();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    // A filter takes any word for the name of a module, and would then log nothing at all.
    if !level.contains('=')
        && !level.split(',').all(|word| levels.contains(&word.trim().to_lowercase().as_str()))
    {
        bail!("log.level must be {} or a filter such as rowcall=debug, and is {level:?}", levels.join(", "));
    }
    let mut filter: EnvFilter = settings
        .level
        .parse()
        .with_context(|| format!("log.level: {:?} is not a level or filter", settings.level))?;
    for library in QUIET {
        filter = filter.add_directive(library.parse()?);
    }
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Human => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => {
            let lines = Lines { json: Format::default().json().flatten_event(true) };
            log.fmt_fields(JsonFields::new()).event_format(lines).init();
        }
    }
    Ok(())
}

/// One JSON object per line, in which what is JSON is a value and not a string to be read once more.
struct Lines {
    json: Format<Json>,
}

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.json.format_event(context, Writer::new(&mut line), event)?;
        let Ok(Value::Object(mut fields)) = serde_json::from_str(&line) else {
            return writer.write_str(&line);
        };
        for name in JSON {
            if let Some(Value::String(text)) = fields.get(name)
                && let Ok(value) = serde_json::from_str(text)
            {
                fields.insert(name.to_owned(), value);
            }
        }
        writeln!(writer, "{}", Value::Object(fields))
    }
}
