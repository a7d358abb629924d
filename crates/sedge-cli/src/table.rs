//! Aligned columns.

use crate::paint::{Paint, Tone};
use crate::tame;

/// One cell: its text, and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// Plain text.
pub(crate) fn cell(text: impl ToString) -> Cell {
    toned(Tone::Plain, text)
}

/// Text with a tone. A cell is one line, whatever it says.
pub(crate) fn toned(tone: Tone, text: impl ToString) -> Cell {
    Cell { text: tame::line(&text.to_string()).into_owned(), tone }
}

/// A state's word in its tone.
pub(crate) fn state(word: impl ToString) -> Cell {
    let word = word.to_string();
    toned(crate::paint::tone_of(&word), word)
}

/// Rows under a heading. An empty cell shows as `-`, so that columns can be counted by a script.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<const N: usize>(heads: [&'static str; N]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.heads.len(), "a row has a cell for each heading");
        self.rows.push(cells.to_vec());
    }

    /// The text, without a line end at its end.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|c| shown(c).chars().count());
            cells.chain([self.heads[at].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let heads: Vec<Cell> = self.heads.iter().map(|head| toned(Tone::Strong, head)).collect();
        let line = |cells: &Vec<Cell>| -> String {
            let last = cells.len().saturating_sub(1);
            let padded = cells.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
                let text = shown(cell);
                let room = if at == last { 0 } else { width.saturating_sub(text.chars().count()) + 2 };
                format!("{}{}", paint.tone(cell.tone, text), " ".repeat(room))
            });
            padded.collect()
        };
        std::iter::once(&heads).chain(&self.rows).map(line).collect::<Vec<_>>().join("\n")
    }
}

fn shown(cell: &Cell) -> &str {
    if cell.text.is_empty() { "-" } else { &cell.text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_begin_a_row_of_its_own() {
        let mut table = Table::new(["NODE", "WHY"]);
        table.row([cell("robot-1"), cell("out of memory\n\x1b[2Krobot-2  committed")]);
        assert_eq!(table.render(Paint::plain()), "NODE     WHY\nrobot-1  out of memory [2Krobot-2  committed");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_nothing_trails() {
        let mut table = Table::new(["NAME", "STATE", "REASON"]);
        table.row([cell("robot-1"), state("committed"), cell("")]);
        table.row([cell("r2"), state("failed"), cell("probe a: naïve")]);
        let text = table.render(Paint::plain());
        assert_eq!(text, "NAME     STATE      REASON\nrobot-1  committed  -\nr2       failed     probe a: naïve");
    }
}
