//! The figures of a page as bars: each as long as its ratio to the yardstick, on a logarithmic axis, the better the further to the right.

use std::fmt::Write as _;

use super::report::{Better, Figure};

/// Pixels.
const ROW: f64 = 18.0;
const TOP: f64 = 44.0;
const LABELS: f64 = 900.0;
const BARS: f64 = 420.0;
const WIDTH: f64 = LABELS + BARS + 60.0;

/// The ends of the axis: as many times as good as the yardstick.
const WORST: f64 = 0.02;
const BEST: f64 = 50.0;
const TICKS: [(f64, &str); 7] =
    [(0.02, "1/50"), (0.1, "1/10"), (0.5, "1/2"), (1.0, "1"), (2.0, "2"), (10.0, "10"), (50.0, "50")];

/// Colours that can be read on a light page and on a dark one.
const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.worse{fill:#bf8700}.better{fill:#1a7f37}\
    .spread{stroke:#57606a}.tick{stroke:#d0d7de}.one{stroke:#24292f}\
    @media (prefers-color-scheme:dark){text{fill:#c9d1d9}.spread{stroke:#8b949e}.tick{stroke:#30363d}.one{stroke:#c9d1d9}}";

/// The whole picture.
pub fn svg(title: &str, figures: &[Figure]) -> String {
    let height = TOP + ROW * figures.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{0}</title>\n\
         <style>{STYLE}</style>\n<text x=\"{LABELS}\" y=\"14\">{0}</text>\n",
        escaped(title)
    );
    for (value, label) in TICKS {
        let (x, class) = (place(value), if label == "1" { "one" } else { "tick" });
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{height}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            TOP - 8.0,
            TOP - 12.0
        );
    }
    for (row, figure) in figures.iter().enumerate() {
        svg += &bar(TOP + ROW * row as f64, figure);
    }
    svg + "</svg>\n"
}

fn bar(y: f64, figure: &Figure) -> String {
    let Figure { name, yardstick, ratio, spread: (low, high), better, .. } = figure;
    let (value, low, high) = (good(*ratio, *better), good(*low, *better), good(*high, *better));
    let class = if value < 1.0 { "worse" } else { "better" };
    let (from, to) = (place(value).min(place(1.0)), place(value).max(place(1.0)));
    let middle = y + ROW / 2.0;
    format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}, beside {}</text>\
         <rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
         <line class=\"spread\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{ratio:.2}</text>\n",
        LABELS - 12.0,
        y + 13.0,
        escaped(name),
        escaped(yardstick),
        y + 3.0,
        (to - from).max(1.0),
        ROW - 6.0,
        place(low),
        place(high),
        LABELS + BARS + 14.0,
        y + 13.0,
    )
}

/// How many times as good as the yardstick.
fn good(ratio: f64, better: Better) -> f64 {
    match better {
        Better::Higher => ratio,
        Better::Lower => 1.0 / ratio,
    }
}

/// Where on the axis.
fn place(value: f64) -> f64 {
    let share = (value.clamp(WORST, BEST) / WORST).ln() / (BEST / WORST).ln();
    LABELS + BARS * share
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
