//! Peat's model manifests and update commands: read, held against a file, turned into the vocabulary, and given back.
//!
//! # A manifest
//!
//! One JSON object. Fields marked * must be there; any other field is kept as it is.
//!
//! | field | shape | becomes |
//! |---|---|---|
//! | `model_id`* | text, a [`ModelId`](crate::ModelId): 1 to 64 of `a-z 0-9 . _ -`, never a path | [`Manifest::id`](crate::Manifest::id) |
//! | `name`* | text, for people | kept |
//! | `model_type`* | `detector`, `llm`, `tracker`, `embedder`, `vlm`, `whisper` or `custom` | `model_type` |
//! | `format`* | `onnx`, `gguf`, `tensorrt`, `pytorch` or `safetensors` | the variant's `format`, proven against the file's header |
//! | `version`* | text, a [`Version`](crate::Version): as an id | `version` |
//! | `quantization`* | `F32`, `F16`, `BF16`, `INT8`, `Q4_0`, `Q4_K_S`, `Q4_K_M`, `Q5_K_S`, `Q5_K_M`, `Q6_K` or `Q8_0` | the variant's `quantization`, proven against the header |
//! | `size_bytes`* | bytes, a whole number; 0 where not known yet | the file's `size`, proven |
//! | `sha256`* | 64 hexadecimal digits; empty where not known yet | the file's `sha256`, proven |
//! | `requirements`* | an object, below | the variant's `requirements` |
//! | `license`, `source` | text | `license`, `source` |
//! | `features`, `classes` | lists of texts | kept |
//! | `params_billions` | a number of 10⁹ parameters, not negative | kept |
//! | `context_length` | tokens, a whole number below 2³² | kept |
//! | `created_at` | RFC 3339 | kept |
//! | `blob_hash`, `download_url` | text | kept; neither is proof of anything |
//! | `metadata` | any JSON | kept |
//!
//! `requirements`: `min_vram_mb`, `recommended_vram_mb` and `min_ram_mb` in MiB, whole numbers below 2³²;
//! `execution_providers`, a list of names; `architectures`, a list of [`Architecture`](crate::Architecture)s. Each may be absent.
//! The memory to run the model is the *greater* of the two minima and never their sum: a Jetson has one pool for both,
//! and a discrete accelerator's own memory is a pool beside the system's. Both numbers are kept.
//!
//! *Kept* is [`Manifest::metadata`](crate::Manifest::metadata) under `peat.<field>`, as JSON text, so that
//! [`PeatManifest::of_release`] gives back every field equal to what was read; only `"sha256": ""` and
//! `"size_bytes": 0` come back as what the file proved. `null` is kept, and means absent.
//!
//! # An update command
//!
//! | field | shape | becomes |
//! |---|---|---|
//! | `command_id`* | a UUID | [`Deployment::command`](crate::Deployment::command): the same command is one deployment |
//! | `manifest`* | a manifest, as above | the release that is deployed, held against it |
//! | `target_nodes`* | names or ids of nodes, 256 at most; empty for every node that can run it | `node=a\|b`, or `cell=**` with fit deciding |
//! | `priority` | 1 (first) to 5 (last), 3 where absent; nothing is clamped | `priority` |
//! | `auto_load`* | `false`: hold the model and go on serving what serves | [`Action`](crate::Action) |
//! | `rollback_model_id` | a [`ModelId`](crate::ModelId) or `null` | kept with the command: a slot goes back to what it served by itself |
//! | `timestamp` | RFC 3339 | kept with the command |
//!
//! # Limits
//!
//! A document has at most [`MAX_BYTES`](PeatManifest::MAX_BYTES) bytes and 32 levels; a text 1024 bytes and no control
//! characters; a list 4096 members; all that is kept, with licence and source, 12 KiB. A key that stands twice is an error.
//! Integers beyond 64 bits in kept JSON are floating point, as JSON readers have them. Every refusal is a [`PeatError`]: the
//! place in the document, what is there, and what may be.

mod command;
mod error;
mod field;
mod json;
mod manifest;
mod proof;
mod release;

pub use command::{PeatCommand, PeatTarget};
pub use error::{JsonPath, PeatDefect, PeatError};
pub use manifest::{PeatFacts, PeatManifest};
pub use proof::{FileFacts, PeatMismatch};

use serde_json::Value;

/// A document of Peat's.
#[derive(Debug, Clone, PartialEq)]
pub enum Peat {
    /// What is known of a model version.
    Manifest(Box<PeatManifest>),
    /// The wish to run one. It has a `command_id` or a `manifest`, which a manifest has not.
    Command(Box<PeatCommand>),
}

impl Peat {
    /// Reads a document, whichever it is.
    ///
    /// # Errors
    /// See [`PeatError`]. Nothing is allocated but in proportion to the text.
    pub fn read(text: &str) -> Result<Self, PeatError> {
        let value = json::read(text)?;
        let is_command = |value: &Value| value.get("command_id").is_some() || value.get("manifest").is_some();
        if is_command(&value) {
            PeatCommand::from_value(value).map(|command| Self::Command(Box::new(command)))
        } else {
            PeatManifest::from_value(value).map(|manifest| Self::Manifest(Box::new(manifest)))
        }
    }
}
