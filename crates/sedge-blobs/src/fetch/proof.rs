//! Proving a file while it is still coming: as its beginning becomes whole it is synced, read back and hashed.
//!
//! Without this the whole file would be written out, read and hashed after its last byte came. What is hashed is what the file holds,
//! not what came. It may be read from the system's cache: what the disk made of it is proven, from the disk, before anything opens the
//! file ([`crate::BlobStore::prove`]).

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use n0_future::task::AbortOnDropHandle;
use sedge_statement::Sha256;
use sha2::Digest;
use tokio::sync::watch;

use crate::blocking::blocking;

/// How much is synced, read back and hashed at once: large enough that a disk writes it in one go, small enough that little is left
/// to do after the last byte came.
const STEP: u64 = 64 << 20;
/// How much is read at once: it stays in the processor's cache.
const BUFFER: usize = 1 << 20;

/// What the bytes of a file hashed to when they were read back, and which file that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    sha256: Sha256,
    inode: (u64, u64),
    size: u64,
}

impl Proof {
    /// Whether it is of the file at `path`, as it is now, and of these bytes.
    pub(crate) fn shows(&self, path: &Path, sha256: Sha256) -> bool {
        // A link that someone put there would be followed to another file.
        let there = std::fs::symlink_metadata(path);
        self.sha256 == sha256
            && there.is_ok_and(|there| there.is_file() && there.len() == self.size && inode(&there) == self.inode)
    }
}

fn inode(of: &std::fs::Metadata) -> (u64, u64) {
    (of.dev(), of.ino())
}

/// Hashes a file that is still coming. Dropping it gives up.
#[derive(Debug)]
pub(crate) struct Prover {
    whole: watch::Sender<u64>,
    task: AbortOnDropHandle<io::Result<Proof>>,
}

impl Prover {
    /// Begins with a file of `size` bytes that the store keeps at `path`, or will.
    pub(crate) fn start(path: PathBuf, size: u64) -> Self {
        let (whole, ready) = watch::channel(0);
        Self { whole, task: AbortOnDropHandle::new(tokio::spawn(prove(path, size, ready))) }
    }

    /// So many bytes from the beginning are in the file.
    pub(crate) fn is_whole_up_to(&self, bytes: u64) {
        self.whole.send_if_modified(|whole| std::mem::replace(whole, bytes.max(*whole)) < bytes);
    }

    /// Waits for the end of a file that is whole. Without an answer the file is to be read from its beginning.
    pub(crate) async fn finish(self) -> Option<Proof> {
        match self.task.await {
            Ok(Ok(proof)) => Some(proof),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a file could not be read back while it came");
                None
            }
            Err(_) => None,
        }
    }
}

async fn prove(path: PathBuf, size: u64, mut ready: watch::Receiver<u64>) -> io::Result<Proof> {
    let mut reading: Option<Reading> = None;
    let mut done = 0;
    while done < size {
        let next = done.saturating_add(STEP).min(size);
        let gone = |_| io::Error::other("the fetch ended");
        ready.wait_for(|whole| *whole >= next).await.map_err(gone)?;
        let path = path.clone();
        reading = Some(
            blocking(move || {
                let mut reading = reading.map_or_else(|| Reading::begin(&path), Ok)?;
                reading.go_on_to(next)?;
                Ok(reading)
            })
            .await?,
        );
        done = next;
    }
    reading.ok_or_else(|| io::Error::other("an empty file"))?.end()
}

/// A file, and the digest of what was read of it so far.
struct Reading {
    file: File,
    sha256: sha2::Sha256,
    done: u64,
}

impl Reading {
    fn begin(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, sha256: sha2::Sha256::new(), done: 0 })
    }

    fn go_on_to(&mut self, end: u64) -> io::Result<()> {
        self.file.sync_data()?;
        let mut buffer = vec![0; BUFFER];
        while self.done < end {
            let length = buffer.len().min(usize::try_from(end - self.done).unwrap_or(usize::MAX));
            let part = &mut buffer[..length];
            self.file.read_exact_at(part, self.done)?;
            self.sha256.update(&part);
            self.done += length as u64;
        }
        Ok(())
    }

    fn end(self) -> io::Result<Proof> {
        let file = self.file.metadata()?;
        let sha256 = Sha256::from_bytes(self.sha256.finalize().into());
        Ok(Proof { sha256, inode: inode(&file), size: self.done })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_grows_is_proven_by_what_it_holds_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        let bytes: Vec<u8> = (0..STEP + 12_345).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[2]).collect();
        let prover = Prover::start(path.clone(), bytes.len() as u64);
        std::fs::write(&path, &bytes).unwrap();
        for whole in [17, STEP + 1, 5, bytes.len() as u64] {
            prover.is_whole_up_to(whole);
        }
        let proof = prover.finish().await.unwrap();
        assert!(proof.shows(&path, Sha256::of(&bytes)));
        assert!(!proof.shows(&path, Sha256::of(b"other bytes")));
        std::fs::write(&other, &bytes).unwrap();
        assert!(!proof.shows(&other, Sha256::of(&bytes)), "another file, though of the same bytes");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_or_too_short_gives_no_proof() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for _ in 0..2 {
            let prover = Prover::start(path.clone(), 10);
            prover.is_whole_up_to(10);
            assert_eq!(prover.finish().await, None);
            std::fs::write(&path, b"short").unwrap();
        }
    }
}
