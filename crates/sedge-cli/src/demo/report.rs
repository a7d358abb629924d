//! What the demo tells while it runs, and in the end.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sedge_statement::millis;
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::paint::Tone;
use crate::screen::Screen;
use crate::table::{Table, cell, toned};
use crate::words::show_duration;

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
    elapsed_ms: u64,
}

/// The whole, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    ok: bool,
    nodes: usize,
    elapsed_ms: u64,
    checks: &'a [Check],
}

/// Everything told so far.
pub(super) struct Report<'a> {
    screen: &'a Screen,
    nodes: usize,
    dir: String,
    began: Instant,
    spinner: Option<ProgressBar>,
    checks: Vec<Check>,
}

impl<'a> Report<'a> {
    /// Nothing told yet.
    pub(super) fn new(screen: &'a Screen, nodes: usize, dir: &Path) -> Self {
        let dir = dir.display().to_string();
        Self { screen, nodes, dir, began: Instant::now(), spinner: None, checks: Vec::new() }
    }

    /// Says what will run where.
    pub(super) fn begin(&self) {
        self.say(&format!("{} agents, each a process of its own, in {}\n", self.nodes, self.dir));
    }

    /// A check begins.
    pub(super) fn start(&mut self, name: &str) {
        if self.screen.is_live() {
            let spinner = ProgressBar::new_spinner();
            spinner.set_style(
                ProgressStyle::with_template("  {spinner} {msg}  {elapsed}").expect("the template is valid"),
            );
            spinner.set_message(name.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(120));
            self.spinner = Some(spinner);
        }
    }

    /// A check has ended; `tail` is what the concerned agent's log says where it failed.
    pub(super) fn done(
        &mut self,
        name: &'static str,
        took: Duration,
        outcome: anyhow::Result<String>,
        tail: &[String],
    ) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        let (ok, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(error) => (false, format!("{error:#}")),
        };
        let paint = self.screen.paint();
        let mark = if ok { paint.tone(Tone::Good, "✓") } else { paint.tone(Tone::Bad, "✗") };
        self.say(&format!("  {mark} {name:<22}{:>7}", show_duration(took)));
        if !ok {
            eprintln!("{name}: {detail}");
            tail.iter().for_each(|line| eprintln!("    {line}"));
        }
        self.checks.push(Check { name, ok, detail, elapsed_ms: millis(took) });
    }

    /// A check is not tried, because one before it failed.
    pub(super) fn skip(&mut self, name: &'static str) {
        let detail = "not tried: a check before it failed".to_owned();
        self.checks.push(Check { name, ok: false, detail, elapsed_ms: 0 });
    }

    /// Whether any check has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| !check.ok)
    }

    /// Ctrl-C.
    pub(super) fn interrupt(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        eprintln!("Interrupted; every agent was ended.");
    }

    /// The table, or the JSON; fails where a check did.
    pub(super) fn finish(&self, kept: Option<&Path>) -> Result<Exit, Failure> {
        let ok = !self.has_failed();
        let elapsed = self.began.elapsed();
        let whole = Whole { ok, nodes: self.nodes, elapsed_ms: millis(elapsed), checks: &self.checks };
        self.screen.show_as_it_is(&whole, |whole, paint| {
            let mut table = Table::new(["CHECK", "IS", "TIME", "SEEN"]);
            for check in whole.checks {
                let (tone, word) = if check.ok { (Tone::Good, "well") } else { (Tone::Bad, "not well") };
                let time = show_duration(Duration::from_millis(check.elapsed_ms));
                table.row([cell(check.name), toned(tone, word), cell(time), cell(&check.detail)]);
            }
            let well = whole.checks.iter().filter(|check| check.ok).count();
            let (tone, end) = if whole.ok { (Tone::Good, "All is well") } else { (Tone::Bad, "Not all is well") };
            let kept = kept.map(|dir| format!("\nHomes and logs are in {}.", dir.display())).unwrap_or_default();
            format!(
                "\n{}\n\n{}: {well} of {} checks in {}.{kept}",
                table.render(paint),
                paint.tone(tone, end),
                whole.checks.len(),
                show_duration(elapsed)
            )
        })?;
        Ok(if ok { Exit::Done } else { Exit::Failed })
    }

    fn say(&self, text: &str) {
        if !self.screen.is_json() {
            // Where the output cannot be written, the table at the end fails aloud.
            let _ = self.screen.line(text);
        }
    }
}
