//! How much memory models may take.

use std::path::Path;

use sedge_statement::ByteSize;

use crate::cgroup;
use crate::root::{Root, field};

/// The least left to everything else: a lean Linux, the agent and its documents fit in it.
pub const MIN_RESERVE: ByteSize = ByteSize::mib(256);
/// The most left to everything else: what a desktop takes. A large server needs no more for being large.
pub const MAX_RESERVE: ByteSize = ByteSize::mib(4096);

/// What is left to everything but models where nobody configured it: an eighth, within [`MIN_RESERVE`] and [`MAX_RESERVE`].
/// A model that takes the rest still leaves the kernel its page cache, which fetching weights lives on.
pub fn reserve(total: ByteSize) -> ByteSize {
    ByteSize(total.get() / 8).clamp(MIN_RESERVE, MAX_RESERVE)
}

/// All of the memory, or the control group's limit where that is less. Swap does not count.
pub(crate) fn total(root: Root<'_>) -> ByteSize {
    let installed = meminfo(root, "MemTotal").unwrap_or_default();
    let limit = cgroup::limits(root).memory.map_or(installed, ByteSize);
    // Without `/proc/meminfo` a limit is all there is to go by.
    if installed == ByteSize::default() { limit } else { installed.min(limit) }
}

/// What could be allocated right now, as the kernel estimates it: for the check before a load, never for a document. None
/// where the kernel does not say. A control group's limit is not in it.
pub fn available_memory(root: &Path) -> Option<ByteSize> {
    meminfo(Root(root), "MemAvailable")
}

fn meminfo(root: Root<'_>, key: &str) -> Option<ByteSize> {
    let text = root.read("proc/meminfo")?;
    let kib: u64 = field(&text, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024).map(ByteSize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_an_eighth_within_bounds() {
        assert_eq!(reserve(ByteSize::mib(512)), MIN_RESERVE);
        assert_eq!(reserve(ByteSize::mib(8192)), ByteSize::mib(1024));
        assert_eq!(reserve(ByteSize::mib(1 << 20)), MAX_RESERVE);
    }
}
