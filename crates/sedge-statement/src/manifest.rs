//! What is known of a model version: its variants, files, requirements and probes.

mod facts;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::id::digest_in;
use crate::{
    Architecture, Blake3, ByteSize, FileName, Generation, ModelId, Probe, ReleaseId, Sha256, Timestamp, VariantName,
    Version,
};

pub use facts::{GgufFacts, KvShape, ModelFacts, OnnxFacts};
pub use words::{ModelFormat, ModelType, Quantization, UnknownWord};

/// One file of a release: the closed set that may be fetched, exported and opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its name, a single component.
    pub name: FileName,
    /// Its exact length, bytes.
    pub size: ByteSize,
    /// Its provenance, proven before anything opens it.
    pub sha256: Sha256,
    /// Its transport name.
    pub blake3: Blake3,
}

/// What a node must have to run a variant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HardwareRequirements {
    /// Memory to run it, bytes; zero where unknown.
    pub memory: ByteSize,
    /// Architectures it runs on; empty for any.
    pub architectures: BTreeSet<Architecture>,
}

/// The files of a model for one kind of hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name inside the release.
    pub name: VariantName,
    /// The format of its first file.
    pub format: ModelFormat,
    /// How its weights are stored.
    pub quantization: Quantization,
    /// Its files; the first is the one that is opened.
    pub files: Vec<ModelFile>,
    /// What it needs.
    pub requirements: HardwareRequirements,
    /// What its header says.
    pub facts: ModelFacts,
}

impl Variant {
    /// The file that is opened.
    pub fn entry(&self) -> &ModelFile {
        self.files.first().expect("Manifest::check refuses a variant without files")
    }

    /// The size of all files.
    pub fn size(&self) -> ByteSize {
        ByteSize(self.files.iter().fold(0, |n, f| n.saturating_add(f.size.get())))
    }
}

/// Everything known of a model version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model.
    pub id: ModelId,
    /// Its version.
    pub version: Version,
    /// What it is for.
    pub model_type: ModelType,
    /// Its licence as an SPDX expression or name; empty where unknown.
    pub license: String,
    /// Where it comes from; empty where unknown.
    pub source: String,
    /// Its variants, at least one.
    pub variants: Vec<Variant>,
    /// A file of probes (JSON, see [`crate::Probe::read_all`]), one more member of the closed set.
    pub probes: Option<ModelFile>,
    /// Anything else, by key.
    pub metadata: BTreeMap<String, String>,
}

/// Why a manifest is not one to publish or to act upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Add at least one file.
    #[error("the manifest lists no variant")]
    NoVariant,
    /// Every variant needs the file that is opened.
    #[error("variant {0} lists no file")]
    NoFile(VariantName),
    /// Names inside a release are unique; rename one.
    #[error("variant {0} is listed twice")]
    TwiceNamed(VariantName),
    /// Names inside a variant are unique; rename one.
    #[error("file {0} is listed twice")]
    TwiceListed(FileName),
    /// A file of no bytes proves nothing.
    #[error("file {0} is empty")]
    EmptyFile(FileName),
    /// Give fewer or smaller probes: whoever tries the model holds all of them in memory.
    #[error("the probes take {0}, above {limit}", limit = ByteSize(Probe::MAX_FILE_BYTES as u64))]
    ProbesTooLong(ByteSize),
    /// Shorten licence, source or metadata.
    #[error("the text fields take {0} bytes, above {limit}", limit = Manifest::MAX_TEXT)]
    TooMuchText(usize),
    /// The bytes do not decode.
    #[error("{0}")]
    Codec(#[from] CodecError),
}

impl Manifest {
    /// The most that licence, source and metadata may take together, bytes.
    pub const MAX_TEXT: usize = 16 << 10;

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.variants.is_empty() {
            return Err(ManifestError::NoVariant);
        }
        let mut names = BTreeSet::new();
        for variant in &self.variants {
            if !names.insert(&variant.name) {
                return Err(ManifestError::TwiceNamed(variant.name.clone()));
            }
            if variant.files.is_empty() {
                return Err(ManifestError::NoFile(variant.name.clone()));
            }
            let mut files = BTreeSet::new();
            for file in variant.files.iter().chain(&self.probes) {
                if !files.insert(&file.name) {
                    return Err(ManifestError::TwiceListed(file.name.clone()));
                }
                if file.size.get() == 0 {
                    return Err(ManifestError::EmptyFile(file.name.clone()));
                }
            }
        }
        if let Some(probes) = self.probes.as_ref().filter(|file| file.size.get() > Probe::MAX_FILE_BYTES as u64) {
            return Err(ManifestError::ProbesTooLong(probes.size));
        }
        let metadata: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        let text = self.license.len() + self.source.len() + metadata;
        if text > Self::MAX_TEXT { Err(ManifestError::TooMuchText(text)) } else { Ok(()) }
    }

    /// Every file of every variant, and the probes.
    pub fn files(&self) -> impl Iterator<Item = &ModelFile> {
        self.variants.iter().flat_map(|v| &v.files).chain(&self.probes)
    }
}

/// A published manifest. Immutable; its digest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What is published.
    pub manifest: Manifest,
    /// Orders the releases of one model: a slot goes down in it only by an explicit downgrade.
    pub generation: Generation,
    /// When, by the publisher's clock.
    pub published_at: Timestamp,
}

impl Release {
    /// The largest encoding, bytes: one release fits one change of a document.
    pub const MAX_BYTES: usize = 48 << 10;

    const CONTEXT: &str = "sedge release id 1";

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads and checks the canonical bytes.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let release: Self = codec::decode(bytes, Self::MAX_BYTES)?;
        release.manifest.check()?;
        Ok(release)
    }

    /// The release's name.
    pub fn id(&self) -> ReleaseId {
        ReleaseId::from_bytes(digest_in(Self::CONTEXT, &self.to_bytes()))
    }
}
