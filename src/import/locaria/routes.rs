//! Which entries become tasks: those that Locaria's triggers start, and those that are given a status.

use std::collections::BTreeMap;

use anyhow::bail;

use super::Options;
use super::entry::Entry;

/// What becomes of an entry.
#[derive(Debug)]
pub enum Fate {
    /// A task that starts at this status.
    Task {
        /// The status.
        on_status: String,
        /// Whether Locaria's own trigger starts it at that status.
        was_dispatched: bool,
    },
    /// The broadcast of status changes: no task, but a channel.
    Broadcast,
    /// Nothing, for this reason.
    LeftOut(String),
}

/// The statuses that are written into Locaria's own trigger.
fn built_in(entry: &Entry) -> Option<&'static str> {
    match (entry.config, entry.name.as_str()) {
        ("fargate_config", "file_loader") => Some("REGISTERED"),
        ("fargate_config", "file_download") => Some("DOWNLOAD_REQUESTED"),
        _ => None,
    }
}

/// The fate of each entry, in their order.
pub fn fates(entries: &[Entry], options: &Options) -> anyhow::Result<Vec<Fate>> {
    let mut unused: BTreeMap<&String, &String> = options.routes.iter().collect();
    let fates = entries
        .iter()
        .map(|entry| {
            let places = [entry.place(), entry.name.clone()];
            let given = places.iter().find_map(|place| options.routes.get_key_value(place));
            if let Some((place, _)) = given {
                unused.remove(place);
            }
            fate(entry, given.map(|(_, status)| status.as_str()), options)
        })
        .collect();
    if let Some((name, status)) = unused.first_key_value() {
        let there = entries.iter().map(Entry::place).collect::<Vec<_>>().join(", ");
        bail!("--route {name}={status}: Locaria has no such function; there are: {there}");
    }
    Ok(fates)
}

fn fate(entry: &Entry, given: Option<&str>, options: &Options) -> Fate {
    let own = built_in(entry);
    let place = entry.place();
    if (entry.config, entry.name.as_str()) == ("lambda_config", "ws_broadcast") && given.is_none() {
        return Fate::Broadcast;
    }
    if entry.config == "email_config" && options.messages_table.is_none() {
        return Fate::LeftOut(format!(
            "{place}: it is started by rows of a table of messages; --messages-table names that, and --route \
             {}=STATUS the status",
            entry.name
        ));
    }
    match given.or(own) {
        Some(status) => Fate::Task { on_status: status.to_owned(), was_dispatched: own == Some(status) },
        None => Fate::LeftOut(format!(
            "{place}: Locaria's trigger starts it at no status; --route {}=STATUS imports it, not enabled",
            entry.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(routes: &[(&str, &str)]) -> Options {
        Options {
            schema: "locaria_core".into(),
            usage: "SYSTEM".into(),
            routes: routes.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect(),
            notify_channel: None,
            messages_table: None,
            replace_trigger: false,
            keep_deleted: false,
            overwrite: false,
        }
    }

    fn entries(places: &[(&'static str, &str)]) -> Vec<Entry> {
        places
            .iter()
            .map(|(config, name)| Entry { config, name: (*name).to_owned(), value: json!({}) })
            .collect()
    }

    #[test]
    fn a_route_by_full_name_touches_no_namesake() {
        let entries =
            entries(&[("fargate_config", "a"), ("lambda_config", "a"), ("fargate_config", "file_loader")]);
        let fates = fates(&entries, &options(&[("lambda_config.a", "X")])).unwrap();
        assert!(matches!(&fates[0], Fate::LeftOut(why) if why.contains("--route a=STATUS")), "{fates:?}");
        assert!(
            matches!(&fates[1], Fate::Task { on_status, was_dispatched: false } if on_status == "X"),
            "{fates:?}"
        );
        assert!(
            matches!(&fates[2], Fate::Task { on_status, was_dispatched: true } if on_status == "REGISTERED"),
            "{fates:?}"
        );
    }

    #[test]
    fn a_route_for_nothing_is_an_error_that_names_what_there_is() {
        let error = fates(&entries(&[("fargate_config", "openactive")]), &options(&[("openactiv", "X")]))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "--route openactiv=X: Locaria has no such function; there are: fargate_config.openactive"
        );
    }
}
