//! How drafts and commands are kept: JSON, in tables of their own.

use sedge_statement::Timestamp;
use sedge_statement::peat::{PeatCommand, PeatManifest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::ApiError;
use crate::store::{Kind, Store};

/// A draft in the store.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) manifest: PeatManifest,
    pub(super) imported_at: Timestamp,
}

/// Its form on disk: the document as text, so that it is read back by the one reader there is.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    imported_at: Timestamp,
    document: String,
}

/// A key and its value, ready to be written.
pub(super) type Write = (Kind, Vec<u8>, Vec<u8>);

fn key(manifest: &PeatManifest) -> Vec<u8> {
    super::reference(manifest).into_bytes()
}

fn kept(document: &serde_json::Value, imported_at: Timestamp) -> Vec<u8> {
    let kept = Kept { imported_at, document: document.to_string() };
    serde_json::to_vec(&kept).expect("a record is plain data")
}

/// The write that keeps a draft.
pub(super) fn draft(manifest: &PeatManifest, now: Timestamp) -> Write {
    (Kind::Draft, key(manifest), kept(&manifest.to_json(), now))
}

/// Keeps a command that was deployed.
pub(super) fn keep(store: &Store, command: &PeatCommand, now: Timestamp) -> Result<(), ApiError> {
    let record = kept(&command.to_json(), now);
    Ok(store.put(Kind::Command, command.id().to_string().as_bytes(), Some(&record))?)
}

/// Every draft, by model and version.
pub(super) fn all(store: &Store) -> Result<Vec<Record>, ApiError> {
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let damaged = |error: &dyn std::fmt::Display| damaged("draft", &key, error);
        let kept: Kept = serde_json::from_slice(&value).map_err(|e| damaged(&e))?;
        let manifest = PeatManifest::read(&kept.document).map_err(|e| damaged(&e))?;
        Ok(Record { manifest, imported_at: kept.imported_at })
    };
    store.list(Kind::Draft)?.into_iter().map(read).collect()
}

/// The draft of the same model and version.
pub(super) fn like(store: &Store, manifest: &PeatManifest) -> Result<Option<PeatManifest>, ApiError> {
    let Some(value) = store.get(Kind::Draft, &key(manifest))? else { return Ok(None) };
    let kept: Kept = serde_json::from_slice(&value).map_err(|e| damaged("draft", &key(manifest), &e))?;
    PeatManifest::read(&kept.document).map(Some).map_err(|e| damaged("draft", &key(manifest), &e))
}

/// Removes a draft.
pub(super) fn remove(store: &Store, manifest: &PeatManifest) -> Result<(), ApiError> {
    Ok(store.put(Kind::Draft, &key(manifest), None)?)
}

/// A command that was imported here and deployed.
pub(super) fn deployed(store: &Store, id: Uuid) -> Result<Option<PeatCommand>, ApiError> {
    let key = id.to_string().into_bytes();
    let Some(value) = store.get(Kind::Command, &key)? else { return Ok(None) };
    let kept: Kept = serde_json::from_slice(&value).map_err(|e| damaged("command", &key, &e))?;
    PeatCommand::read(&kept.document).map(Some).map_err(|e| damaged("command", &key, &e))
}

fn damaged(what: &str, key: &[u8], error: &dyn std::fmt::Display) -> ApiError {
    let key = String::from_utf8_lossy(key);
    ApiError::failed(
        format!("the {what} {key} in this node's state is damaged: {error}"),
        "Check the disk, and import it again.",
    )
}
