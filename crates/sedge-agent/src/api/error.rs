//! How a request fails: which exit status, what, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure, and so which exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// It was tried and failed: exit 1.
    Failed,
    /// The request makes no sense as written: exit 2.
    Usage,
    /// Not authorised, or not verified: exit 3.
    Refused,
    /// Not reached in time: exit 4.
    NotInTime,
    /// No agent runs on this home: exit 5.
    NoAgent,
}

/// One sentence of what, one of what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// Which exit status.
    pub kind: ErrorKind,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl ApiError {
    /// It was tried and failed.
    pub fn failed(message: impl fmt::Display, remedy: &str) -> Self {
        Self::new(ErrorKind::Failed, message, remedy)
    }

    /// The request makes no sense as written.
    pub fn usage(message: impl fmt::Display, remedy: &str) -> Self {
        Self::new(ErrorKind::Usage, message, remedy)
    }

    /// Not authorised, or not verified.
    pub fn refused(message: impl fmt::Display, remedy: &str) -> Self {
        Self::new(ErrorKind::Refused, message, remedy)
    }

    fn new(kind: ErrorKind, message: impl fmt::Display, remedy: &str) -> Self {
        Self { kind, message: message.to_string(), remedy: remedy.to_owned() }
    }
}
