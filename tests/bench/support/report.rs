//! The table, and where its figures are kept.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::baseline::Baseline;

/// One measured promise.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What was measured, with its size: the figure's name in the baseline.
    pub(crate) what: &'static str,
    /// The figure.
    pub(crate) measured: f64,
    /// Its unit, for the table: `ms`, `links/s`.
    pub(crate) unit: &'static str,
    /// Within what it is promised to lie, if anything is: `0.0..=most` for times and sizes, `least..=f64::INFINITY` for rates.
    pub(crate) promise: Option<RangeInclusive<f64>>,
    /// What the anchor is, and its figure in the same unit.
    pub(crate) anchor: (&'static str, f64),
}

impl Line {
    /// Measured over anchor.
    pub(crate) fn ratio(&self) -> f64 {
        self.measured / self.anchor.1
    }

    /// Whether more is better.
    fn is_rate(&self) -> bool {
        self.promise.as_ref().is_some_and(|promise| promise.end().is_infinite())
    }

    fn is_kept(&self) -> bool {
        self.promise.as_ref().is_none_or(|promise| promise.contains(&self.measured))
    }
}

/// The lines of one bench.
#[derive(Debug)]
pub(crate) struct Report {
    bench: &'static str,
    how: &'static str,
    lines: Vec<Line>,
}

impl Report {
    /// An empty report of the bench of this name; `how` it measures is said above the table.
    pub(crate) fn new(bench: &'static str, how: &'static str) -> Self {
        Self { bench, how, lines: Vec::new() }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Prints the table, appends it to the results, and says whether every promise is kept.
    pub(crate) fn finish(self) -> ExitCode {
        let mut baseline = Baseline::read();
        println!("{}: {}\n", self.bench, self.how);
        let mut rows =
            vec![["what", "measured", "promise", "anchor", "ratio", "since the baseline"].map(str::to_owned)];
        for line in &self.lines {
            // Above one is worse, whichever way the figure counts.
            let kept = baseline.ratio(self.bench, line.what);
            let since = kept.map(|kept| if line.is_rate() { kept / line.ratio() } else { line.ratio() / kept });
            rows.push([
                line.what.to_owned(),
                figure(line.measured, line.unit),
                promise(line),
                format!("{} ({})", figure(line.anchor.1, line.unit), line.anchor.0),
                format!("{:.2}", line.ratio()),
                since.map_or("-".to_owned(), |since| format!("{since:.2}×")),
            ]);
        }
        print_table(&rows);
        self.append();
        if is_set("SEDGE_BENCH_KEEP") {
            self.lines.iter().for_each(|line| baseline.keep(self.bench, line.what, line.ratio()));
            baseline.write();
        }
        let missed = self.lines.iter().filter(|line| !line.is_kept()).count();
        println!("\n{}: {} of {} figures as promised", self.bench, self.lines.len() - missed, self.lines.len());
        ExitCode::from(u8::from(missed > 0 && is_set("SEDGE_BENCH_CHECK")))
    }

    fn append(&self) {
        let path = target_dir().join("bench").join("results.jsonl");
        let at = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let lines: Vec<String> = self
            .lines
            .iter()
            .map(|line| {
                let (anchor, of_anchor) = line.anchor;
                serde_json::json!({
                    "at": at, "bench": self.bench, "what": line.what, "unit": line.unit, "measured": line.measured,
                    "anchor": anchor, "anchor_measured": of_anchor, "ratio": line.ratio(), "kept": line.is_kept(),
                })
                .to_string()
            })
            .collect();
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{}", lines.join("\n"))
        };
        match write() {
            Ok(()) => println!("\nappended to {}", path.display()),
            Err(error) => println!("\nnot kept in {}: {error}", path.display()),
        }
    }
}

/// Whether a variable is set to anything but nothing and zero.
pub(super) fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| !value.is_empty() && value != "0")
}

/// The build's directory: this program lies in `<target>/<profile>/deps`.
fn target_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(3).map_or_else(|| PathBuf::from("target"), Path::to_path_buf)
}

fn figure(value: f64, unit: &str) -> String {
    if value >= 100.0 { format!("{value:.0} {unit}") } else { format!("{value:.2} {unit}") }
}

fn promise(line: &Line) -> String {
    let Some(promise) = &line.promise else { return "-".to_owned() };
    let mark = if line.is_kept() { "" } else { " MISSED" };
    let (sign, value) = if line.is_rate() { ('≥', promise.start()) } else { ('≤', promise.end()) };
    format!("{sign} {}{mark}", figure(*value, line.unit))
}

fn print_table<const N: usize>(rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join(" | ").trim_end());
    }
}
