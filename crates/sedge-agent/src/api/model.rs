//! Models as they are published, listed, proven and asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sedge_statement::{
    Blake3, Manifest, ModelFormat, ModelId, ModelType, NodeName, Quantization, ReleaseId, Sha256, SlotName, Timestamp,
    VariantName, Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RolloutSummary;

/// A model to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelAdd {
    /// The model file, an absolute path that the agent can read.
    pub file: PathBuf,
    /// Further files that the variant needs, as a `tokenizer.json`, absolute paths too.
    #[serde(default)]
    pub beside: Vec<PathBuf>,
    /// The model; from the file's name where absent.
    pub id: Option<ModelId>,
    /// The version; from the file's name where absent.
    pub version: Option<Version>,
    /// The variant's name; from format and quantization where absent.
    pub variant: Option<VariantName>,
    /// What the model is for.
    pub model_type: ModelType,
    /// Its licence, an SPDX expression or a name.
    pub license: String,
    /// Where it comes from.
    pub source: String,
    /// Probes to publish with it, already read and checked: JSON as [`sedge_statement::Probe::read_all`] takes it.
    pub probes: Vec<Value>,
    /// Anything else.
    pub metadata: BTreeMap<String, String>,
    /// The draft that the file completes, `MODEL[:VERSION]`; where absent, the one that the file fits, if there is one.
    #[serde(default)]
    pub draft: Option<String>,
}

/// A release in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// The model.
    pub id: ModelId,
    /// The version.
    pub version: Version,
    /// The release's digest.
    pub release: ReleaseId,
    /// Its variants.
    pub variants: Vec<ModelVariant>,
    /// Who published it.
    pub publisher: NodeName,
    /// When.
    pub published_at: Timestamp,
    /// Whether this node holds every file of it.
    pub held: bool,
}

/// A variant in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelVariant {
    /// Its name.
    pub name: VariantName,
    /// Its format.
    pub format: ModelFormat,
    /// How its weights are stored.
    pub quantization: Quantization,
    /// The size of its files, bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file that is opened.
    pub sha256: Sha256,
    /// BLAKE3 of the file that is opened.
    pub blake3: Blake3,
}

/// A release, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelDetail {
    /// As in the list.
    #[serde(flatten)]
    pub model: Model,
    /// What was published.
    pub manifest: Manifest,
    /// Nodes that say they hold the file that is opened, by name.
    pub holders: Vec<NodeName>,
}

/// What proving and trying a release found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// The release's digest.
    pub release: ReleaseId,
    /// Each file and its SHA-256, read back from disk just now.
    pub files: Vec<VerifiedFile>,
    /// How many probes it passed; zero where it has none and only finite outputs were asked for.
    pub probes: usize,
    /// The slowest probe.
    pub latency: Duration,
}

/// A file that was read back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifiedFile {
    /// Its name.
    pub name: String,
    /// Its length, bytes.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// One release in a model's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogEntry {
    /// The release.
    #[serde(flatten)]
    pub model: Model,
    /// Its place in the model's order.
    pub generation: String,
    /// Its rollouts, oldest first.
    pub rollouts: Vec<RolloutSummary>,
}

/// A model's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inference {
    /// The slot.
    pub slot: SlotName,
    /// The release that produced the answer.
    pub release: ReleaseId,
    /// The digest of the file that produced the answer.
    pub sha256: Sha256,
    /// Tensors in the Open Inference Protocol's JSON.
    pub outputs: Vec<Value>,
    /// Of a text, why it ended: `stop` or `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}
