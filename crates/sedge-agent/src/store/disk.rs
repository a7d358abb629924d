//! A disk in memory that remembers every write, so that any of them can turn out to have been the last.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What a disk writes whole or not at all, bytes.
const SECTOR: usize = 512;

/// One thing that was asked of the disk.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
    Sync,
}

/// What is left of what was not synced when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing is lost: the process was killed, and the system lived on.
    Nothing,
    /// All of it is.
    Unsynced,
    /// Any sectors of it, by this seed.
    Torn(u64),
}

#[derive(Debug, Default)]
struct Inner {
    image: Vec<u8>,
    ops: Vec<Op>,
}

/// The disk; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    /// One that holds this already.
    pub(super) fn of(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { image, ops: Vec::new() })))
    }

    /// How much was asked of it.
    pub(super) fn asked(&self) -> usize {
        self.inner().ops.len()
    }

    /// Everything that was asked of it.
    pub(super) fn log(&self) -> Vec<Op> {
        self.inner().ops.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, op: Op) {
        let mut inner = self.inner();
        apply(&mut inner.image, &op);
        inner.ops.push(op);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let held = inner.image.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(held);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Op::SetLen(usize::try_from(len).map_err(io::Error::other)?));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Op::Write { offset: usize::try_from(offset).map_err(io::Error::other)?, data: data.to_vec() });
        Ok(())
    }
}

/// What is on the disk where the power went right behind these.
pub(super) fn left(ops: &[Op], loss: Loss) -> Vec<u8> {
    let synced = ops.iter().rposition(|op| matches!(op, Op::Sync)).map_or(0, |last| last + 1);
    let mut image = Vec::new();
    ops[..synced].iter().for_each(|op| apply(&mut image, op));
    match loss {
        Loss::Nothing => ops[synced..].iter().for_each(|op| apply(&mut image, op)),
        Loss::Unsynced => {}
        Loss::Torn(seed) => {
            let mut coin = Coin(seed);
            ops[synced..].iter().for_each(|op| tear(&mut image, op, &mut coin));
        }
    }
    image
}

fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write { offset, data } => put(image, *offset, data),
        Op::SetLen(len) => image.resize(*len, 0),
        Op::Sync => {}
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if image.len() < offset + data.len() {
        image.resize(offset + data.len(), 0);
    }
    image[offset..offset + data.len()].copy_from_slice(data);
}

/// Carries out an operation as far as it came: each sector it wrote is there or is not.
fn tear(image: &mut Vec<u8>, op: &Op, coin: &mut Coin) {
    let Op::Write { offset, data } = op else { return apply(image, op) };
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + SECTOR - (offset + at) % SECTOR);
        if coin.heads() {
            put(image, offset + at, &data[at..end]);
        }
        at = end;
    }
}

/// Heads or tails, the same for the same seed.
struct Coin(u64);

impl Coin {
    fn heads(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}
