//! A node's slow facts.

use serde::{Deserialize, Serialize};

use crate::{Architecture, ByteSize};

/// Memory that models can live in. A Jetson has one pool for processor and accelerator; a discrete GPU has its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPool {
    /// `system`, or the accelerator's name.
    pub name: String,
    /// All of it, or the control group's limit where that is less.
    pub total: ByteSize,
    /// What models may take: the total less the reserve.
    pub allocatable: ByteSize,
}

/// Something that runs models faster than the processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// Its name, as its driver gives it.
    pub name: String,
    /// Which pool of [`Profile::memory`] it uses, by name.
    pub pool: String,
}

/// Something that can load models here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFact {
    /// The backend's name: `tract`.
    pub backend: String,
    /// Its version.
    pub version: String,
    /// Providers that really work: `cpu`.
    pub providers: Vec<String>,
}

/// What a node says of itself in its document. Nothing here permits or selects anything; certificates do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its architecture.
    pub architecture: Architecture,
    /// Its operating system and kernel, for people.
    pub os: String,
    /// Its processor's name, for people.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: u32,
    /// Memory pools, the system's first.
    pub memory: Vec<MemoryPool>,
    /// Accelerators.
    pub accelerators: Vec<Accelerator>,
    /// The size of the file system that holds models.
    pub disk: ByteSize,
    /// Runtimes found.
    pub runtimes: Vec<RuntimeFact>,
}
