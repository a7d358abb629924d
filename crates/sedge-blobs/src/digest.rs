//! Hashing files: SHA-256 for what people signed, BLAKE3 for what the transport verifies.

use std::fs::File;
use std::io::{self, Read, Write};

use sedge_statement::{Blake3, Sha256};
use sha2::Digest;

/// Large enough that system calls do not count, small enough to stay in the processor's cache.
const BUFFER: usize = 1 << 20;

/// Both digests of a file, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) sha256: Sha256,
    pub(crate) blake3: Blake3,
    pub(crate) size: u64,
}

/// Copies `from` into `to` and hashes on the way, in one pass. Stops above `limit`, with a size that says so:
/// a file that grows while it is read must not fill the disk.
pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write, limit: u64) -> io::Result<Digests> {
    let mut sha256 = sha2::Sha256::new();
    let mut blake3 = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let bytes = &buffer[..read];
        size += bytes.len() as u64;
        if size > limit {
            break;
        }
        sha256.update(bytes);
        blake3.update(bytes);
        to.write_all(bytes)?;
    }
    Ok(Digests {
        sha256: Sha256::from_bytes(sha256.finalize().into()),
        blake3: Blake3::from_bytes(*blake3.finalize().as_bytes()),
        size,
    })
}

/// Reads a file back and hashes it. Asks the system to forget its cached pages first, so that the bytes come from
/// the disk wherever the file system honours that: a write that never arrived is to be found now.
pub(crate) fn read_back(file: &File) -> io::Result<Digests> {
    let _advice = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    let mut file = file;
    copy(&mut file, &mut io::sink(), u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_gives_both_digests_and_the_copy() {
        let bytes: Vec<u8> = (0..3_000_001_u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
        let mut copied = Vec::new();
        let digests = copy(&mut bytes.as_slice(), &mut copied, u64::MAX).unwrap();
        assert_eq!(copied, bytes);
        assert_eq!(digests, Digests { sha256: Sha256::of(&bytes), blake3: Blake3::of(&bytes), size: 3_000_001 });
    }

    #[test]
    fn a_source_longer_than_its_limit_is_cut_off_and_says_so() {
        let mut copied = Vec::new();
        let digests = copy(&mut io::repeat(7), &mut copied, 3 << 20).unwrap();
        assert!(copied.len() <= 3 << 20);
        assert!(digests.size > 3 << 20);
    }
}
