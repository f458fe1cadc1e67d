//! A plan in words and as SQL.

use std::fmt::Write as _;

use serde_json::Value;

use super::compare::{Compared, Standing};
use super::plan::Plan;
use super::table::Table;
use super::wanted::Wanted;
use crate::job::RunnerName;

/// Where lines are broken.
const WIDTH: usize = 110;

/// Lines of text, each as long as it may be.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A paragraph; its first line begins with `lead`, the others are indented as far.
    fn say(&mut self, lead: &str, text: &str) {
        let indent = " ".repeat(lead.chars().count());
        let mut line = lead.to_owned();
        let mut words = 0;
        for word in text.split_whitespace() {
            if words > 0 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line.clone_from(&indent);
                words = 0;
            }
            if words > 0 {
                line.push(' ');
            }
            line.push_str(word);
            words += 1;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    /// Text that is not broken.
    fn block(&mut self, indent: &str, text: &str) {
        for line in text.lines() {
            self.line(&format!("{indent}{line}"));
        }
    }
}

impl Plan {
    /// All that will be done, for a person, and as SQL.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        page.say("", &format!("From {}, usage {}:", self.source.parameters, self.options.usage));
        for note in &self.source.notes {
            page.say("  note: ", note);
        }
        for task in &self.tasks {
            page.line("");
            explain(&mut page, task);
        }
        if !self.left_out.is_empty() {
            page.line("");
            page.line("Left out:");
            self.left_out.iter().for_each(|why| page.say("  ", why));
        }
        if let Some(channel) = &self.notify_channel {
            page.line("");
            self.explain_channel(&mut page, channel);
        }
        for table in &self.tables {
            page.line("");
            self.explain_table(&mut page, table);
        }
        page.line("");
        page.line("The daemon's settings must allow it:");
        page.block("  ", &rails(&self.tasks));
        page.line("");
        if self.is_empty() {
            page.line("There is nothing to do.");
        } else {
            page.line("As SQL:");
            page.line("  begin;");
            self.statements.iter().for_each(|statement| page.block("  ", &statement.sql));
            page.line("  commit;");
        }
        page.0
    }

    /// What was done, and what is left to a person.
    #[must_use]
    pub fn done(&self) -> String {
        let mut page = Page::default();
        page.line("Done:");
        self.statements
            .iter()
            .filter_map(|statement| statement.done.as_ref())
            .for_each(|done| page.say("  ", done));
        for table in &self.tables {
            self.still_fires(table).iter().for_each(|warning| page.say("WARNING: ", warning));
            self.nobody_starts(table).iter().for_each(|warning| page.say("WARNING: ", warning));
        }
        page.0
    }

    fn explain_channel(&self, page: &mut Page, channel: &str) {
        let why = if self.broadcast {
            "lambda_config.ws_broadcast is called at every change of a status, so it is no task of one status"
        } else {
            "asked for"
        };
        page.say(
            "Status changes: ",
            &format!(
                "{why}. Rowcall announces each status that it writes by NOTIFY {channel}, when the transaction has \
                 committed (notify_channel). It does not announce what others write: inserted rows, and what containers \
                 of Locaria write themselves until they are changed over. Let the sender of the websocket listen on \
                 that channel."
            ),
        );
    }

    fn explain_table(&self, page: &mut Page, table: &Table) {
        page.say(
            "",
            &format!(
                "Table {}: {}",
                table.name,
                if table.watched { "watched already" } else { "will be watched" }
            ),
        );
        for trigger in &table.triggers {
            let (name, function) = (&trigger.name, &trigger.function);
            if self.options.replace_trigger {
                page.say("  ", &format!("trigger {name} ({function}) will be dropped; this brings it back:"));
                page.block("    ", &format!("{};", trigger.definition));
            } else if !trigger.fires {
                page.say("  ", &format!("trigger {name} ({function}) is disabled and stays so"));
            }
        }
        self.still_fires(table).iter().for_each(|warning| page.say("  WARNING: ", warning));
        self.nobody_starts(table).iter().for_each(|warning| page.say("  WARNING: ", warning));
        let resting: Vec<_> = self.resting.iter().filter(|(name, ..)| *name == table.name).collect();
        for (_, status, rows) in &resting {
            page.say("  ", &format!("rows that rest in {status}: {rows}; the import starts none of them"));
        }
        if !resting.is_empty() {
            page.say(
                "  ",
                "After the last container that Locaria started has ended, and before the daemon starts, put back by \
                 hand the rows that a container left half done, and make jobs for the rows that wait:",
            );
            for task in self.tasks.iter().filter(|task| *task.wanted.column("source_table") == table.name) {
                let (on, running) = (task.wanted.column("on_status"), task.wanted.column("status_running"));
                if let (Value::String(on), Value::String(running)) = (on, running)
                    && resting.iter().any(|(_, status, _)| status == running)
                {
                    page.line(&format!(
                        "    update {} set status = '{on}' where status = '{running}';",
                        table.name
                    ));
                }
            }
            page.line(&format!("    select rowcall.rescan('{}');", table.name));
        }
        if self.options.keep_deleted {
            page.say(
                "  ",
                "the trigger rowcall_keep_deleted will keep rows in the status DELETED, unless a session says: set \
                 rowcall.restore = 'on'",
            );
        }
    }

    /// What nothing starts any more without Locaria's triggers.
    fn nobody_starts(&self, table: &Table) -> Vec<String> {
        if !self.options.replace_trigger || table.triggers.is_empty() {
            return Vec::new();
        }
        let theirs = |task: &&Compared| {
            *task.wanted.column("source_table") == table.name
                && task.wanted.first.contains(&("enabled", true.into()))
        };
        let idle = self.tasks.iter().filter(theirs).filter(|task| !task.enabled);
        idle.map(|task| {
            format!(
                "{} was started by the trigger that is dropped, and its task is not enabled: nothing starts it then",
                task.wanted.name
            )
        })
        .collect()
    }

    /// What is wrong with Locaria's triggers staying.
    fn still_fires(&self, table: &Table) -> Vec<String> {
        let firing = table.triggers.iter().filter(|trigger| trigger.fires && !self.options.replace_trigger);
        firing
            .map(|trigger| {
                format!(
                    "the trigger {} of {} stays, and dispatches as before: it and Rowcall would both start \
                     containers for the same rows. --replace-trigger drops it in the same transaction.",
                    trigger.name, table.name
                )
            })
            .collect()
    }
}

fn explain(page: &mut Page, task: &Compared) {
    let wanted = &task.wanted;
    let standing = match &task.standing {
        Standing::New if task.enabled => "new".to_owned(),
        Standing::New => "new, not enabled".to_owned(),
        Standing::Same => "there already, unchanged".to_owned(),
        Standing::Updated(_) => "brought up to date".to_owned(),
        Standing::Left { whose, .. } => format!("left as it is: {whose}; --overwrite replaces it"),
    };
    page.say("", &format!("{}, from {}: {standing}", wanted.name, wanted.from));
    match &task.standing {
        Standing::Updated(differences) | Standing::Left { differences, .. } => {
            for difference in differences {
                page.say("  ", difference);
            }
        }
        Standing::New => describe(page, wanted),
        Standing::Same => {}
    }
    if !task.enabled {
        page.say(
            "  ",
            &format!(
                "not enabled: its jobs wait until UPDATE rowcall.parameters SET enabled = true WHERE name = '{}'",
                wanted.name
            ),
        );
    }
}

fn describe(page: &mut Page, wanted: &Wanted) {
    let text = |column| wanted.column(column).as_str().unwrap_or_default();
    let cluster = wanted.column("settings")["cluster"].as_str();
    let place = match cluster {
        Some(cluster) => format!("a container of {} on cluster {cluster}", text("target")),
        None => format!("the function {}", text("target")),
    };
    page.say(
        "  ",
        &format!("a row of {} that becomes {} starts {place}", text("source_table"), text("on_status")),
    );
    wanted.remarks.iter().for_each(|remark| page.say("  - ", remark));
    wanted.dropped.iter().for_each(|dropped| page.say("  - dropped: ", dropped));
}

/// The lines of the daemon's settings without which these tasks are blocked.
fn rails(tasks: &[Compared]) -> String {
    let mut lines = String::new();
    for (runner, places) in [
        (
            RunnerName::Ecs,
            &[
                ("clusters", "/settings/cluster"),
                ("task_definitions", "/target"),
                ("subnets", "/settings/subnets"),
                ("security_groups", "/settings/security_groups"),
            ][..],
        ),
        (RunnerName::Lambda, &[("functions", "/target")][..]),
    ] {
        let rows: Vec<Value> = tasks
            .iter()
            .map(|task| task.wanted.object())
            .filter(|row| row["runner"] == runner.as_str())
            .collect();
        if rows.is_empty() {
            continue;
        }
        let list = |place: &str| {
            let there = rows.iter().filter_map(|row| row.pointer(place));
            let each =
                there.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
            let mut found: Vec<&str> = each.filter_map(Value::as_str).collect();
            found.sort_unstable();
            found.dedup();
            Value::from(found).to_string().replace("\",\"", "\", \"")
        };
        let _ = writeln!(lines, "[runners.{runner}]\nenabled = true");
        for (setting, place) in places {
            let values = list(place);
            if values != "[]" {
                let _ = writeln!(lines, "{setting} = {values}");
            }
        }
        if rows.iter().any(|row| row.pointer("/settings/assign_public_ip") == Some(&Value::Bool(true))) {
            let _ = writeln!(lines, "allow_public_ip = true");
        }
        let regions = list("/settings/region");
        if regions != "[]" {
            let _ = writeln!(lines, "regions = {regions}  # those besides the daemon's own");
        }
    }
    lines
}
