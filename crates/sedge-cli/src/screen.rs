//! Where answers go: one JSON value, or text for a person.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::failure::Failure;
use crate::paint::Paint;
use crate::tame;

/// The standard output, as this call of the program uses it.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
    paint: Paint,
    /// Whether the reader of the output went away.
    unread: AtomicBool,
}

impl Screen {
    /// JSON, or text as the terminal takes it.
    pub(crate) fn new(json: bool) -> Self {
        let paint = if json { Paint::plain() } else { Paint::stdout() };
        Self { json, paint, unread: AtomicBool::new(false) }
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

    /// Prints an answer as JSON where that is wanted, and as `text` tells it otherwise. Much in an answer is the word of
    /// others: `text` is given it [tamed](Self::tamed).
    pub(crate) fn show<T>(&self, value: &T, text: impl FnOnce(&T, Paint) -> String) -> Result<(), Failure>
    where
        T: Serialize + DeserializeOwned,
    {
        if self.json { self.print(value) } else { self.line(&self.told(value, text)?) }
    }

    /// What a person is shown of an answer.
    fn told<T>(&self, value: &T, text: impl FnOnce(&T, Paint) -> String) -> Result<String, Failure>
    where
        T: Serialize + DeserializeOwned,
    {
        Ok(text(&tame(value)?, self.paint))
    }

    /// The same for an answer in which line ends matter, or that is all ours: `text` sees to the words of others.
    pub(crate) fn show_as_it_is<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, Paint) -> String,
    ) -> Result<(), Failure> {
        if self.json { self.print(value) } else { self.line(&text(value, self.paint)) }
    }

    /// Prints a value as a line of JSON, whatever is wanted.
    pub(crate) fn print<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.line(&tame::json(&serde_json::to_string(value).expect("answers are plain data")))
    }

    /// An answer as a person may be shown it, each text in it on one line; with `--json` as it is.
    pub(crate) fn tamed<T: Serialize + DeserializeOwned>(&self, value: T) -> Result<T, Failure> {
        if self.json { Ok(value) } else { tame(&value) }
    }

    /// Prints a line whatever is wanted.
    ///
    /// A reader that went away (`sedge model list | head -1`) has what it wanted: that is no failure. Whoever goes on
    /// printing asks [`Self::is_read`].
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        self.read(written)
    }

    /// Whether the output's reader was still there when something was last printed.
    pub(crate) fn is_read(&self) -> bool {
        !self.unread.load(Ordering::Relaxed)
    }

    /// Waits until the output's reader goes away, though nothing is printed; for ever where that cannot be seen, as of a file.
    #[expect(deprecated, reason = "what took its place is unsafe code, and the standard output is never closed here")]
    pub(crate) async fn left(&self) {
        if let Ok(out) = AsyncFd::with_interest(io::stdout(), Interest::ERROR) {
            while let Ok(mut now) = out.ready(Interest::ERROR).await {
                if now.ready().is_error() || now.ready().is_write_closed() {
                    self.unread.store(true, Ordering::Relaxed);
                    return;
                }
                now.clear_ready();
            }
        }
        std::future::pending().await
    }

    fn read(&self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => self.unread.store(true, Ordering::Relaxed),
            Err(e) => {
                let what = format!("the output could not be written: {e}");
                return Err(Failure::failed(what, "Free space where it goes."));
            }
            Ok(()) => {}
        }
        Ok(())
    }

    /// A model's words as this output takes them: a terminal obeys control characters, whoever wrote them.
    pub(crate) fn words<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_live() { tame::lines(text) } else { Cow::Borrowed(text) }
    }

    /// Prints a piece of an answer that is still growing.
    pub(crate) fn piece(&self, text: &str) -> Result<(), Failure> {
        let text = self.words(text);
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.read(written)
    }

    /// Prints a remark for a person, beside the answer; never with `--json`.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            eprintln!("{}", tame::lines(text));
        }
    }
}

/// An answer with each text in it on one line. Names and digests have no character that this would take away.
fn tame<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, Failure> {
    let told = serde_json::to_value(value).expect("answers are plain data");
    serde_json::from_value(tame::value(told))
        .map_err(|error| Failure::failed(format!("the answer cannot be shown: {error}"), "Ask for it with --json."))
}

/// What tests of the texts share.
#[cfg(test)]
pub(crate) mod hostile {
    use super::*;

    /// What a member may say where people read it.
    pub(crate) const WORDS: &str = "no\nFORGED\u{1b}[2J\u{1b}]52;c;cm0=\u{7}\u{9b}1A\r\u{202e}";

    /// Holds that a person is shown an answer with [`WORDS`] in it, and nothing of them is obeyed or looks like a line of ours.
    #[track_caller]
    pub(crate) fn is_shown_harmless<T>(answer: &serde_json::Value, times: usize, text: fn(&T, Paint) -> String)
    where
        T: Serialize + DeserializeOwned,
    {
        let answer: T = serde_json::from_value(answer.clone()).unwrap();
        let shown = Screen::new(false).told(&answer, |answer, _| text(answer, Paint::plain())).unwrap();
        assert_eq!(shown.matches("FORGED").count(), times, "{shown}");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("FORGED")), "{shown}");
        assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
    }
}
