//! How commands fail: one sentence of what, one of what to do, and an exit status.

use std::process::ExitCode;

use sedge_agent::api::{ApiError, ErrorKind};

use crate::paint::{Paint, Tone};
use crate::tame;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked is done.
    Done,
    /// It was tried and failed.
    Failed,
    /// The words make no sense.
    Usage,
    /// Not authorised, or not verified.
    Refused,
    /// Not reached in time.
    NotInTime,
    /// No agent runs on this home.
    NoAgent,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number that scripts rely on.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotInTime => 4,
            Self::NoAgent => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::NotInTime => Self::NotInTime,
            ErrorKind::NoAgent => Self::NoAgent,
        }
    }
}

/// A command that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// With which status the program ends.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) what: String,
    /// What to do about it; may be empty.
    pub(crate) remedy: String,
}

impl Failure {
    /// It was tried and failed.
    pub(crate) fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, what: what.into(), remedy: remedy.into() }
    }

    /// The words, or the files they name, make no sense.
    pub(crate) fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into(), remedy: remedy.into() }
    }

    /// What was given is not to be trusted.
    pub(crate) fn refused(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, what: what.into(), remedy: remedy.into() }
    }

    /// The text for a person.
    pub(crate) fn text(&self, paint: Paint) -> String {
        // What failed is often told in words of others.
        let what = format!("{} {}", paint.tone(Tone::Bad, "error:"), sentence(&tame::line(&self.what)));
        if self.remedy.is_empty() { what } else { format!("{what}\n{}", sentence(&tame::line(&self.remedy))) }
    }

    /// Prints the text to the standard error.
    pub(crate) fn print(&self) {
        eprintln!("{}", self.text(Paint::stderr()));
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { exit: error.kind.into(), what: error.message, remedy: error.remedy }
    }
}

/// Errors are fragments; a person reads sentences.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: ApiError) -> String {
        let failure = Failure::from(error);
        format!("exit {}\n{}", failure.exit.code(), failure.text(Paint::plain()))
    }

    #[test]
    fn what_failed_stays_on_its_line_whoever_said_it() {
        let failure = Failure::failed("the probe said \x1b]0;root\x07no\nAll is well", "See\n\x1b[1A it");
        assert_eq!(failure.text(Paint::plain()), "error: the probe said ]0;rootno All is well.\nSee [1A it.");
    }

    #[test]
    fn each_kind_of_error_has_its_status_and_two_sentences() {
        let error = |kind, message: &str, remedy: &str| {
            text(ApiError { kind, message: message.to_owned(), remedy: remedy.to_owned() })
        };
        let all = [
            error(ErrorKind::Failed, "no release of digits is known here", "Publish one with `sedge model add FILE`."),
            error(ErrorKind::Usage, "abc is too short to name a rollout", "Give at least 6 digits."),
            error(ErrorKind::Refused, "this node may not deploy", "Ask an operator for the role `deploy`."),
            error(ErrorKind::NotInTime, "the rollout did not complete within 10m", "Look at `sedge rollout show`."),
            error(ErrorKind::NoAgent, "no agent runs on /var/lib/sedge", "Start one with `sedge agent run`."),
            error(ErrorKind::Failed, "nothing is known of it", ""),
        ];
        insta::assert_snapshot!(all.join("\n\n"));
    }
}
