//! What is told at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::checker::Checker;
use super::ledger::{Event, Fate, Write};

impl Checker<'_> {
    /// All that is known of a row, in the order in which it happened, and what was broken meanwhile.
    pub fn story(&self, name: &str) -> String {
        let lines = self.ledger.by_row().remove(name).unwrap_or_default();
        let mut story = String::new();
        if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
            let mut all = self
                .ledger
                .faults(first.at.saturating_sub(Duration::from_secs(1)), last.at + Duration::from_secs(5));
            all.extend(lines.iter().cloned());
            all.sort_by_key(|line| line.at);
            for line in all {
                writeln!(story, "{line}").unwrap();
            }
        }
        if let Some(row) = self.end.rows.get(name) {
            writeln!(story, "row {}: {} {:?} {}", row.id, row.status, row.revisions, row.result).unwrap();
            for one in self.end.jobs(row.id) {
                writeln!(story, "job {} ended {} after {} attempts", one.job, one.outcome, one.attempts)
                    .unwrap();
            }
            for ((job, number), one) in self.end.attempts(row.id) {
                let (outcome, launch) = (&one.outcome, &one.launch);
                writeln!(story, "attempt {number} of job {job}: {outcome:?} {:?} {launch}", one.exit_code)
                    .unwrap();
            }
        }
        story
    }

    /// The sums.
    pub fn sums(&self) -> String {
        let mut fates: BTreeMap<&str, usize> = BTreeMap::new();
        for line in self.ledger.all() {
            let name = match line.event {
                Event::Written { what: Write::Insert { .. }, fate: Fate::Committed } => "rows committed",
                Event::Written { what: Write::Insert { .. }, fate: Fate::RolledBack } => "rows rolled back",
                Event::Written { what: Write::Insert { .. }, fate: Fate::Unknown } => {
                    "rows of an unknown fate"
                }
                Event::Written { .. } => "rows written again or moved on",
                Event::Operated(_) => "jobs cancelled or retried",
                Event::Begun(_) => "programs begun",
                Event::Ended(..) => "programs ended",
                Event::Fault(_) => "faults",
            };
            *fates.entry(name).or_default() += 1;
        }
        let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
        for one in self.end.all_jobs() {
            *outcomes.entry(&one.outcome).or_default() += 1;
        }
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for one in self.end.all_attempts() {
            *ends.entry(one.outcome.as_deref().unwrap_or("open")).or_default() += 1;
        }
        format!("{fates:?}\nrows there {}\njobs settled {outcomes:?}\nattempts {ends:?}", self.end.rows.len())
    }
}
