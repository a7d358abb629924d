//! Words for what comes from Peat: drafts, imports and the way back. See [`sedge_statement::peat`].

use sedge_statement::{
    Action, ModelFormat, ModelId, ModelType, NodeName, Priority, Quantization, ReleaseId, Sha256, SlotName, Timestamp,
    Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Deployed;

/// Documents to import, all or none of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The documents.
    pub files: Vec<ImportFile>,
    /// Whether commands are deployed; else they are only told.
    pub deploy: bool,
    /// The slot of the commands' deployments; by default the one named as the model.
    pub slot: Option<SlotName>,
}

/// A document as it was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What became of one document, in the order of the request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Imported {
    /// Its name.
    pub file: String,
    /// The model.
    pub id: ModelId,
    /// Its version.
    pub version: Version,
    /// What is there now of the model.
    pub model: ImportedModel,
    /// The release, where one was published of it.
    pub release: Option<ReleaseId>,
    /// The name that its file is to have.
    pub file_name: String,
    /// What the document wishes, where it is a command.
    pub command: Option<ImportedCommand>,
}

/// What an import made of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportedModel {
    /// A new draft.
    Draft,
    /// The draft that was there, which says the same.
    Same,
    /// A draft in the place of one that said something else.
    Replaced,
    /// Nothing: it is a release already.
    Released,
}

/// A command as a deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportedCommand {
    /// Its id.
    pub command: Uuid,
    /// The slot.
    pub slot: SlotName,
    /// The nodes, as `sedge deploy --to` takes them.
    pub selector: String,
    /// Activate or stage.
    pub action: Action,
    /// Which fetch comes first.
    pub priority: Priority,
    /// The fallback that it names. Slots go back to what they served by themselves.
    pub rollback_model_id: Option<ModelId>,
    /// The deployment, where it was published: now, or by an earlier import of the same command.
    pub deployed: Option<Deployed>,
    /// Whether an earlier import deployed it.
    pub again: bool,
}

/// A model that this node knows everything of but the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelDraft {
    /// The model.
    pub id: ModelId,
    /// Its version.
    pub version: Version,
    /// Its name, for people.
    pub name: String,
    /// Always true: a release never is one.
    pub draft: bool,
    /// What it is for.
    pub model_type: ModelType,
    /// The format that its file must have.
    pub format: ModelFormat,
    /// The quantization that its file must have.
    pub quantization: Quantization,
    /// The length that its file must have, bytes; absent where any will do.
    pub size_bytes: Option<u64>,
    /// The digest that its file must have; absent where any will do.
    pub sha256: Option<Sha256>,
    /// The name that its file must have, unless its digest is known.
    pub file_name: String,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// By which node: always this one, as drafts are not replicated.
    pub node: NodeName,
    /// The document.
    pub manifest: Value,
}
