//! The facts together.

use std::io;
use std::path::Path;

use sedge_statement::{Accelerator, Architecture, ByteSize, HardwareClass, MemoryPool, Profile};

use crate::root::Root;
use crate::{board, memory, os, processor};

/// The name of the pool that the processor uses, and on a Jetson the accelerator too.
pub const SYSTEM_POOL: &str = "system";

/// The profile of the machine whose files lie below `root`. `disk` is the size of the file system that holds models, see
/// [`disk_size`]. The runtimes are left to whoever has them.
pub fn detect(root: &Path, disk: ByteSize) -> Profile {
    let root = Root(root);
    let total = memory::total(root);
    let allocatable = ByteSize(total.get().saturating_sub(memory::reserve(total).get()));
    // A Jetson's accelerator has no memory of its own: it draws on the one pool there is.
    let accelerator =
        |tegra: board::Tegra| Accelerator { name: tegra.accelerator.to_owned(), pool: SYSTEM_POOL.to_owned() };
    Profile {
        architecture: architecture(),
        os: os::describe(root),
        cpu: processor::name(root),
        cores: processor::cores(root),
        memory: vec![MemoryPool { name: SYSTEM_POOL.to_owned(), total, allocatable }],
        accelerators: board::jetson(root).map(accelerator).into_iter().collect(),
        disk,
        runtimes: Vec::new(),
    }
}

/// The architecture that this program was built for.
pub fn architecture() -> Architecture {
    std::env::consts::ARCH.parse().expect("Rust's names of architectures are names")
}

/// The class of hardware to put into a certificate's request: the board's where it is a known one, else the architecture's.
pub fn class(root: &Path) -> HardwareClass {
    let named = board::class(Root(root)).and_then(|class| class.parse().ok());
    named.unwrap_or_else(|| architecture().as_str().replace('_', "-").parse().expect("a name with dashes is a name"))
}

/// The size of the file system on which `path` lies.
///
/// # Errors
/// The system's: most often that there is nothing at `path`.
pub fn disk_size(path: &Path) -> io::Result<ByteSize> {
    let found = rustix::fs::statvfs(path)?;
    Ok(ByteSize(found.f_blocks.saturating_mul(found.f_frsize)))
}
