//! Room on the disk, asked for before the first byte.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sedge_statement::ByteSize;

/// What is on the disk, and what running transfers will still need of it.
#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    margin: ByteSize,
    promised: Arc<Mutex<u64>>,
}

/// Room kept for one transfer until dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    bytes: u64,
    promised: Arc<Mutex<u64>>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        *promised = promised.saturating_sub(self.bytes);
    }
}

/// Why there is no room.
#[derive(Debug)]
pub(crate) enum Refusal {
    NoSpace { need: ByteSize, have: ByteSize },
    Unknown(io::Error),
}

impl Space {
    pub(crate) fn new(dir: &Path, margin: ByteSize) -> Self {
        Self { dir: dir.to_owned(), margin, promised: Arc::default() }
    }

    /// What an ordinary user may still write here, less nothing.
    pub(crate) fn free(&self) -> io::Result<ByteSize> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        Ok(ByteSize(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    /// What `bytes` of weights take: the hash tree beside them is 64 bytes to 16 KiB, under 0.4 %.
    pub(crate) fn need(&self, bytes: u64) -> ByteSize {
        ByteSize(bytes.saturating_add(bytes / 250).saturating_add(self.margin.get()))
    }

    /// Keeps room for `bytes` more, beside what others were promised. Promises are not taken back as the bytes
    /// arrive, so two transfers at once may be refused a little early, and never a little late.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reserved, Refusal> {
        let free = self.free().map_err(Refusal::Unknown)?;
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let need = self.need(bytes);
        let have = ByteSize(free.get().saturating_sub(*promised));
        if need > have {
            return Err(Refusal::NoSpace { need, have });
        }
        let bytes = need.get() - self.margin.get();
        *promised = promised.saturating_add(bytes);
        Ok(Reserved { bytes, promised: self.promised.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_transfers_are_not_promised_the_same_room() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), ByteSize(0));
        let most_of_it = space.free().unwrap().get() / 10 * 6;
        let first = space.reserve(most_of_it).unwrap();
        assert!(matches!(space.reserve(most_of_it), Err(Refusal::NoSpace { .. })));
        drop(first);
        space.reserve(most_of_it).unwrap();
    }
}
