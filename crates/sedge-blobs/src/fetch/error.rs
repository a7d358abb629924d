//! How a fetch can end without its file.

use std::io;
use std::sync::Arc;

use sedge_statement::{ByteSize, FileName, Sha256};

use crate::hold::DiscardError;
use crate::space::Refusal;
use crate::store::StoreError;

/// Why a file was not fetched. What was brought and verified stays for the next attempt, except after
/// [`FetchError::WrongDigest`] and [`FetchError::WrongLength`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No candidate delivered anything before the deadline. Find other candidates.
    #[error("no provider delivered {file} before the deadline")]
    NoProvider {
        /// The file.
        file: FileName,
    },
    /// The deadline came first. Fetch again: it goes on from here.
    #[error("{have} of {total} of {file} came before the deadline")]
    Deadline {
        /// The file.
        file: FileName,
        /// What is in the store.
        have: ByteSize,
        /// What was asked for.
        total: ByteSize,
    },
    /// Free space, or remove models that no slot needs.
    #[error("not enough space: {need} needed, {have} free")]
    NoSpace {
        /// What the rest of the file, its hash tree and the margin take.
        need: ByteSize,
        /// What is free.
        have: ByteSize,
    },
    /// The manifest contradicts itself: bytes of its BLAKE3 do not have its SHA-256. Reject the release.
    #[error("the SHA-256 of {file} is {found}, not {wanted}")]
    WrongDigest {
        /// The file.
        file: FileName,
        /// What was signed.
        wanted: Sha256,
        /// What the bytes have.
        found: Sha256,
    },
    /// The manifest contradicts itself: bytes of its BLAKE3 do not have its length. Reject the release.
    #[error("{file} has {found}, not the signed {wanted}")]
    WrongLength {
        /// The file.
        file: FileName,
        /// What was signed.
        wanted: ByteSize,
        /// What the bytes have.
        found: ByteSize,
    },
    /// The disk did not keep what was written to it, twice. Replace it.
    #[error("the disk damaged {file} as it was written, twice")]
    Damaged {
        /// The file.
        file: FileName,
    },
    /// See to the disk.
    #[error("place a file of weights: {0}")]
    Io(Arc<io::Error>),
    /// The store is shut down, or its disk fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What failed its proof could not be dropped. It is not listed as held.
    #[error("drop what failed its proof: {0}")]
    Discard(Arc<DiscardError>),
    /// The file was removed, or the store was shut down, meanwhile.
    #[error("the fetch was ended")]
    Cancelled,
}

impl From<Refusal> for FetchError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSpace { need, have } => Self::NoSpace { need, have },
            Refusal::Unknown(e) => Self::Io(Arc::new(e)),
        }
    }
}
