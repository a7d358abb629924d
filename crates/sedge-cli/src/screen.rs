//! Where answers go: one JSON value, or text for a person.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::paint::Paint;

/// The standard output, as this call of the program uses it.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
    paint: Paint,
}

impl Screen {
    /// JSON, or text as the terminal takes it.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, paint: if json { Paint::plain() } else { Paint::stdout() } }
    }

    /// Whether only JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The colours of the standard output.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// Whether a person looks on, so that bars may move.
    pub(crate) fn is_live(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Prints a value as JSON where that is wanted, and as `text` tells it otherwise.
    pub(crate) fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T, Paint) -> String) -> Result<(), Failure> {
        if self.json {
            self.line(&serde_json::to_string(value).expect("answers are plain data"))
        } else {
            self.line(&text(value, self.paint))
        }
    }

    /// Prints a line whatever is wanted.
    ///
    /// A reader that went away (`sedge model list | head -1`) has what it wanted: that is no failure.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed(format!("the output could not be written: {e}"), "Free space where it goes."))
            }
            _ => Ok(()),
        }
    }

    /// A model's words as this output takes them: a terminal obeys control characters, whoever wrote them.
    pub(crate) fn words<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_live() { harmless(text) } else { Cow::Borrowed(text) }
    }

    /// Prints a piece of an answer that is still growing. Says whether anybody still reads it.
    pub(crate) fn piece(&self, text: &str) -> Result<bool, Failure> {
        let text = self.words(text);
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(e) => {
                Err(Failure::failed(format!("the output could not be written: {e}"), "Free space where it goes."))
            }
        }
    }

    /// Prints a remark for a person, beside the answer; never with `--json`.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }
}

/// Without what would move a terminal's cursor, colour it or have it answer.
fn harmless(text: &str) -> Cow<'_, str> {
    let harms = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(harms) { Cow::Owned(text.replace(harms, "")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_words_reach_a_terminal_without_control_characters() {
        assert_eq!(harmless("one\n\ttwo – drei"), "one\n\ttwo – drei");
        assert_eq!(harmless("a\x1b[2Jb\r\u{9b}31mc\x07\u{7f}d"), "a[2Jb31mcd");
    }
}
