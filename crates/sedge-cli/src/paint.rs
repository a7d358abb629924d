//! Colours, and where there are none.

use std::io::IsTerminal;

/// What a piece of text means to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As the terminal writes.
    Plain,
    /// Headings.
    Strong,
    /// What matters less.
    Faint,
    /// Well.
    Good,
    /// On its way, or worth a look.
    Warn,
    /// Not well.
    Bad,
}

/// Whether a stream takes colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// No colour.
    pub(crate) const fn plain() -> Self {
        Self(false)
    }

    /// As the standard output takes it.
    pub(crate) fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && wanted())
    }

    /// As the standard error takes it.
    pub(crate) fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && wanted())
    }

    /// The text in its colour.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `NO_COLOR` of any content, and terminals that call themselves dumb, want none.
fn wanted() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    !no_color && !dumb
}

/// The tone of a slot's or rollout's state, by its word.
pub(crate) fn tone_of(state: &str) -> Tone {
    match state {
        "committed" | "completed" => Tone::Good,
        "failed" | "rolled-back" | "rollback-failed" | "halted" | "rejected" => Tone::Bad,
        "cancelled" | "superseded" | "expired" => Tone::Faint,
        "" | "-" => Tone::Plain,
        _ => Tone::Warn,
    }
}
