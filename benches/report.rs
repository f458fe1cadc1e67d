//! What a run has found: each figure beside its yardstick of the same rounds. It is printed, written into its page below `docs`
//! (`--write`), or compared with what stands there (`--check`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{chart, median, percentile};

/// Which way is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// A rate.
    Higher,
    /// A time.
    Lower,
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What is measured, and in which unit.
    pub name: String,
    /// What of the same rounds it is measured by.
    pub yardstick: String,
    /// The median of ours, in that unit.
    pub ours: f64,
    /// The median of the ratios to the yardstick.
    pub ratio: f64,
    /// The least and the greatest of these.
    pub spread: (f64, f64),
    /// Which way is up.
    pub better: Better,
}

impl Figure {
    /// From one value of ours and one of the yardstick for each round.
    pub fn new(name: &str, yardstick: &str, better: Better, ours: &[f64], by: &[f64]) -> Self {
        let mut ratios: Vec<f64> = ours.iter().zip(by).map(|(ours, by)| ours / by).collect();
        ratios.sort_by(f64::total_cmp);
        Self {
            name: name.to_owned(),
            yardstick: yardstick.to_owned(),
            ours: median(ours.to_vec()),
            ratio: percentile(&ratios, 0.5),
            spread: (percentile(&ratios, 0.0), percentile(&ratios, 1.0)),
            better,
        }
    }

    /// Whether it is worse than it was, by more than the rounds of either run differ among themselves.
    fn fell(&self, before: &Self) -> bool {
        let width = |(low, high): (f64, f64)| high - low;
        let worse = match self.better {
            Better::Higher => before.ratio - self.ratio,
            Better::Lower => self.ratio - before.ratio,
        };
        worse > width(self.spread).max(width(before.spread))
    }
}

/// Where figures are kept: `docs/<name>.md` and `docs/<name>.svg` for people, `docs/<name>.json` for `--check`.
#[derive(Debug)]
pub struct Page {
    name: &'static str,
    /// The title of the picture.
    chart: &'static str,
    head: &'static str,
    tail: &'static str,
}

/// Rowcall by itself.
pub const OURS: Page = Page {
    name: "benchmarks",
    chart: "Rowcall beside the yardstick: how many times as good",
    head: include_str!("report/benchmarks_head.md"),
    tail: include_str!("report/benchmarks_tail.md"),
};

/// Beside other job queues.
pub const PEERS: Page = Page {
    name: "peers",
    chart: "Rowcall beside other job queues: how many times as good",
    head: include_str!("report/peers_head.md"),
    tail: include_str!("report/peers_tail.md"),
};

/// A run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where and with what.
    pub machine: String,
    /// In the order in which they were measured.
    pub figures: Vec<Figure>,
    /// What else the page says of the run, as Markdown.
    #[serde(skip)]
    pub notes: String,
}

impl Page {
    fn place(&self, extension: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(format!("{}.{extension}", self.name))
    }
}

impl Report {
    /// For a terminal.
    pub fn print(&self) {
        println!("\n{}\n{}", self.notes, self.machine);
        println!("{:<58} {:>9}  {:>6}  {:<13} of", "", "rowcall", "ratio", "(spread)");
        for Figure { name, yardstick, ours, ratio, spread: (low, high), .. } in &self.figures {
            println!("{name:<58} {ours:>9.2}  {ratio:>6.2}  ({low:.2}–{high:.2})   {yardstick}");
        }
    }

    /// Replaces the committed figures.
    pub fn write(&self, to: &Page) -> anyhow::Result<()> {
        std::fs::write(to.place("json"), serde_json::to_string_pretty(self)? + "\n")?;
        let mut page = to.head.to_owned();
        let _ = writeln!(page, "{}\n{}", self.machine, self.notes);
        let _ = writeln!(page, "![{}]({}.svg)\n", to.chart, to.name);
        page += "| figure | rowcall | ratio | spread | yardstick |\n|---|---|---|---|---|\n";
        for Figure { name, yardstick, ours, ratio, spread: (low, high), .. } in &self.figures {
            let _ = writeln!(page, "| {name} | {ours:.2} | {ratio:.2} | {low:.2}–{high:.2} | {yardstick} |");
        }
        page += to.tail;
        std::fs::write(to.place("svg"), chart::svg(to.chart, &self.figures))?;
        Ok(std::fs::write(to.place("md"), page)?)
    }

    /// Draws the committed figures anew.
    pub fn draw(page: &Page) -> anyhow::Result<()> {
        let committed: Self = serde_json::from_str(&std::fs::read_to_string(page.place("json"))?)?;
        Ok(std::fs::write(page.place("svg"), chart::svg(page.chart, &committed.figures))?)
    }

    /// Compares with the committed figures; an error names those that fell.
    pub fn check(&self, with: &Page) -> anyhow::Result<()> {
        let committed = std::fs::read_to_string(with.place("json"))?;
        let before: Self = serde_json::from_str(&committed)?;
        let mut fallen = String::new();
        for now in &self.figures {
            let same = |f: &&Figure| (&f.name, &f.yardstick) == (&now.name, &now.yardstick);
            if let Some(then) = before.figures.iter().find(same)
                && now.fell(then)
            {
                let _ = write!(
                    fallen,
                    "\n  {}: {:.2} of {}, was {:.2}",
                    now.name, now.ratio, now.yardstick, then.ratio
                );
            }
        }
        anyhow::ensure!(
            fallen.is_empty(),
            "worse than docs/{}.json by more than the spread:{fallen}",
            with.name
        );
        println!("\nnothing is worse than docs/{}.json by more than the spread", with.name);
        Ok(())
    }
}
