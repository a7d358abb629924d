//! Whether a node can run a variant.

use std::collections::BTreeSet;
use std::fmt;

use sedge_statement::{Architecture, ByteSize, Loader, ModelFacts, ModelFormat, Profile, Variant};

/// Whether a variant fits, or everything that speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It fits.
    Feasible {
        /// What it takes in memory, at least: by its header, or what the manifest asks for where that is more.
        memory: ByteSize,
        /// The runtime that would load it.
        backend: String,
    },
    /// It does not.
    Unfit(Vec<Unfit>),
}

impl Fit {
    /// Whether it fits.
    pub const fn is_feasible(&self) -> bool {
        matches!(self, Self::Feasible { .. })
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feasible { memory, backend } => write!(f, "fits: {backend}, {memory}"),
            Self::Unfit(reasons) => {
                for (i, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if i == 0 { "does not fit: " } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

/// One thing that speaks against a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It is built for others.
    Architecture {
        /// What it is built for.
        need: BTreeSet<Architecture>,
        /// What the node is.
        have: Architecture,
    },
    /// It does not fit into the memory that models may take.
    Memory {
        /// What it takes.
        need: ByteSize,
        /// What there is.
        have: ByteSize,
    },
    /// Its files do not fit on the disk.
    Disk {
        /// Their size.
        need: ByteSize,
        /// The disk's size.
        have: ByteSize,
    },
    /// No runtime here opens the format.
    NoBackend {
        /// The format.
        format: ModelFormat,
        /// What would open it; empty where nothing does but an application.
        would_do: &'static [&'static str],
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture { need, have } => {
                f.write_str("it is built for ")?;
                for (i, arch) in need.iter().enumerate() {
                    write!(f, "{}{arch}", if i == 0 { "" } else { ", " })?;
                }
                write!(f, ", this is {have}")
            }
            Self::Memory { need, have } => write!(f, "it needs {need} of memory, models may take {have}"),
            Self::Disk { need, have } => write!(f, "its files take {need}, the disk has {have}"),
            Self::NoBackend { format, would_do: [] } => {
                write!(f, "{format} is opened by an application only: deploy it to an external slot")
            }
            Self::NoBackend { format, would_do } => {
                write!(f, "nothing here opens {format}; one of these would: {}", would_do.join(", "))
            }
        }
    }
}

/// The runtimes that open a format, by the names under which a profile lists them.
const fn backends(format: ModelFormat) -> &'static [&'static str] {
    match format {
        ModelFormat::Onnx => &["tract", "onnxruntime"],
        ModelFormat::Gguf => &["candle", "llama-server"],
        ModelFormat::TensorRt | ModelFormat::PyTorch | ModelFormat::Safetensors => &[],
    }
}

/// Judges one variant by a node's slow facts. Free memory is not among them: the node looks at that when it loads.
pub fn fit(variant: &Variant, profile: &Profile) -> Fit {
    let mut against = Vec::new();
    let need = &variant.requirements.architectures;
    if !need.is_empty() && !need.contains(&profile.architecture) {
        against.push(Unfit::Architecture { need: need.clone(), have: profile.architecture.clone() });
    }
    // The backends there are run on the processor, out of the first pool. A second one never adds to it.
    let have = profile.memory.first().map_or(ByteSize(0), |pool| pool.allocatable);
    let memory = memory(variant);
    if memory > have {
        against.push(Unfit::Memory { need: memory, have });
    }
    if variant.size() > profile.disk {
        against.push(Unfit::Disk { need: variant.size(), have: profile.disk });
    }
    let would_do = backends(variant.format);
    let found = would_do.iter().find(|name| profile.runtimes.iter().any(|runtime| runtime.backend == **name));
    match found {
        Some(backend) if against.is_empty() => Fit::Feasible { memory, backend: (*backend).to_owned() },
        Some(_) => Fit::Unfit(against),
        None => {
            against.push(Unfit::NoBackend { format: variant.format, would_do });
            Fit::Unfit(against)
        }
    }
}

/// The first variant that fits, in the order listed, or what speaks against each.
///
/// # Errors
/// Every variant with all that speaks against it.
pub fn choose<'v>(variants: &'v [Variant], profile: &Profile) -> Result<&'v Variant, Vec<(&'v Variant, Fit)>> {
    let mut unfit = Vec::new();
    for variant in variants {
        match fit(variant, profile) {
            Fit::Feasible { .. } => return Ok(variant),
            fit @ Fit::Unfit(_) => unfit.push((variant, fit)),
        }
    }
    Err(unfit)
}

/// What the manifest asks for, and never less than the header tells: of a language model that is more than the weights.
fn memory(variant: &Variant) -> ByteSize {
    let told = match &variant.facts {
        ModelFacts::Gguf(facts) => facts.memory(facts.default_context(), Loader::Candle).total,
        other => other.weight_bytes(),
    };
    told.max(variant.requirements.memory)
}
