//! Where answers go: one JSON value, or text for a person.

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

    /// Prints a piece of an answer that is still growing. Says whether anybody still reads it.
    pub(crate) fn piece(&self, text: &str) -> Result<bool, Failure> {
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
