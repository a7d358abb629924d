//! Drafts: models that were described to this node and have no file yet, and commands as they were imported.
//!
//! A draft is this node's alone and never replicated; it is one record of `state.redb`, synced before it counts. Its file makes a
//! release of it (`publish/model.rs`); until then it is neither released nor deployed.

mod import;
mod record;

use sedge_statement::peat::{FileFacts, PeatManifest, PeatMismatch};
use sedge_statement::{ByteSize, FileName, ModelRef};

use crate::api::{ApiError, ModelAdd, ModelDraft};
use crate::core::Core;
use crate::inspect::Inspection;
use crate::queries::{find_release, name_of};
use record::Record;

impl Core {
    /// Every draft, by model and version. One whose release was published, here or elsewhere, is none any more.
    pub(crate) fn drafts(&self) -> Result<Vec<ModelDraft>, ApiError> {
        Ok(self.draft_records()?.into_iter().map(|record| self.shown(record)).collect())
    }

    /// The draft that `MODEL[:VERSION]` names.
    pub(crate) fn draft(&self, text: &str) -> Result<ModelDraft, ApiError> {
        self.draft_record(text).map(|record| self.shown(record))
    }

    /// Drops a draft.
    pub(crate) fn forget_draft(&self, text: &str) -> Result<ModelDraft, ApiError> {
        let record = self.draft_record(text)?;
        record::remove(&self.store, &record.manifest)?;
        Ok(self.shown(record))
    }

    /// Why a model that has no release cannot be had: it may be a draft.
    pub(crate) fn or_draft<T>(&self, text: &str, found: Result<T, ApiError>) -> Result<T, ApiError> {
        found.map_err(|error| match self.draft_record(text) {
            Ok(record) => is_draft(&record.manifest),
            Err(_) => error,
        })
    }

    /// The draft that a file to add completes, once the file has proven to be the one described.
    ///
    /// It is the one that is named; else the one whose name for its file the file has; else the one whose id and version it is
    /// given or suggests; else the one whose digest it has.
    pub(crate) fn draft_of_file(
        &self,
        request: &ModelAdd,
        inspection: &Inspection,
        name: &FileName,
    ) -> Result<Option<PeatManifest>, ApiError> {
        let record = match &request.draft {
            Some(text) => Some(self.draft_record(text)?),
            None => self.fitting(request, inspection, name)?,
        };
        let Some(Record { manifest: draft, .. }) = record else { return Ok(None) };
        refuse_contradiction(&draft, request)?;
        let file = FileFacts {
            name: Some(name),
            size: ByteSize(inspection.size_bytes),
            sha256: inspection.sha256,
            format: inspection.format,
            quantization: inspection.quantization,
        };
        let wrong = draft.mismatches(&file);
        if wrong.is_empty() { Ok(Some(draft)) } else { Err(not_the_file(&draft, name, &wrong)) }
    }

    /// Drops the draft that became a release.
    pub(crate) fn draft_is_released(&self, draft: &PeatManifest) {
        // Left behind it is still none: a draft with a release is not shown.
        if let Err(error) = record::remove(&self.store, draft) {
            tracing::warn!(%error, "a draft whose release is published could not be removed");
        }
    }

    fn fitting(
        &self,
        request: &ModelAdd,
        inspection: &Inspection,
        name: &FileName,
    ) -> Result<Option<Record>, ApiError> {
        let mut records = self.draft_records()?;
        let id = request.id.as_ref().or(inspection.id.as_ref());
        let version = request.version.as_ref().or(inspection.version.as_ref());
        let named = |r: &Record| r.manifest.facts().file_name == *name;
        let meant = |r: &Record| id == Some(&r.manifest.facts().id) && version == Some(&r.manifest.facts().version);
        let same = |r: &Record| r.manifest.facts().sha256 == Some(inspection.sha256);
        let contradicted = |r: &Record| {
            let facts = r.manifest.facts();
            request.id.as_ref().is_some_and(|id| *id != facts.id)
                || request.version.as_ref().is_some_and(|version| *version != facts.version)
        };
        records.retain(|record| !contradicted(record));
        let at = records.iter().position(named).or_else(|| records.iter().position(meant));
        Ok(at.or_else(|| records.iter().position(same)).map(|at| records.swap_remove(at)))
    }

    /// Drops drafts that became releases elsewhere: they are shown nowhere, and would fill the place of others.
    fn drop_released(&self) -> Result<(), ApiError> {
        let view = self.view();
        for record in record::all(&self.store)? {
            if find_release(&view, &reference(&record.manifest)).is_ok() {
                record::remove(&self.store, &record.manifest)?;
            }
        }
        Ok(())
    }

    fn draft_records(&self) -> Result<Vec<Record>, ApiError> {
        let view = self.view();
        let mut records = record::all(&self.store)?;
        records.retain(|record| find_release(&view, &reference(&record.manifest)).is_err());
        Ok(records)
    }

    fn draft_record(&self, text: &str) -> Result<Record, ApiError> {
        let wanted: ModelRef = text.parse().map_err(|error| {
            ApiError::usage(format!("{text:?} is not a draft: it {error}"), "Write MODEL or MODEL:VERSION.")
        })?;
        let mut fits = self.draft_records()?;
        fits.retain(|record| {
            let facts = record.manifest.facts();
            facts.id == wanted.id && wanted.version.as_ref().is_none_or(|version| *version == facts.version)
        });
        match fits.len() {
            0 | 1 => fits.pop().ok_or_else(|| {
                ApiError::failed(
                    format!("no draft of {wanted} is kept here"),
                    "`sedge model list --drafts` shows those there are; import one with `sedge model import FILE.json`.",
                )
            }),
            n => Err(ApiError::usage(format!("{n} drafts of {wanted} are kept here"), "Name the version too.")),
        }
    }

    fn shown(&self, record: Record) -> ModelDraft {
        let facts = record.manifest.facts();
        ModelDraft {
            id: facts.id.clone(),
            version: facts.version.clone(),
            name: facts.name.clone(),
            draft: true,
            model_type: facts.model_type,
            format: facts.format,
            quantization: facts.quantization,
            size_bytes: facts.size.map(ByteSize::get),
            sha256: facts.sha256,
            file_name: facts.file_name.to_string(),
            imported_at: record.imported_at,
            node: name_of(&self.view(), self.me()),
            manifest: record.manifest.to_json(),
        }
    }
}

/// `MODEL:VERSION` of a manifest.
fn reference(manifest: &PeatManifest) -> String {
    format!("{}:{}", manifest.facts().id, manifest.facts().version)
}

/// What to do so that a draft becomes a release.
fn add_its_file(manifest: &PeatManifest) -> String {
    let (name, reference) = (&manifest.facts().file_name, reference(manifest));
    format!("Add its file with `sedge model add {name} --completes {reference}`.")
}

fn is_draft(manifest: &PeatManifest) -> ApiError {
    let message = format!("{} is a draft on this node: it has no file, and is not released yet", reference(manifest));
    ApiError::refused(message, &add_its_file(manifest))
}

fn joined(wrong: &[PeatMismatch]) -> String {
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn not_the_file(draft: &PeatManifest, name: &FileName, wrong: &[PeatMismatch]) -> ApiError {
    let message = format!("{name} is not the file of the draft {}: {}", reference(draft), joined(wrong));
    let remedy = if wrong.iter().all(|mismatch| mismatch.field == "file name") {
        format!("Rename the file to {}, if it is the one that is meant.", draft.facts().file_name)
    } else {
        "Give the file that the draft describes, or correct its document and import that again.".to_owned()
    };
    ApiError::refused(message, &remedy)
}

/// What a draft says is not said again with the file, unless it is the same.
fn refuse_contradiction(draft: &PeatManifest, request: &ModelAdd) -> Result<(), ApiError> {
    let facts = draft.facts();
    let other_text = |given: &str, said: &str| !given.is_empty() && given != said;
    let contradicted = if request.id.as_ref().is_some_and(|id| *id != facts.id) {
        "id"
    } else if request.version.as_ref().is_some_and(|version| *version != facts.version) {
        "version"
    } else if other_text(&request.license, &facts.license) {
        "licence"
    } else if other_text(&request.source, &facts.source) {
        "source"
    } else if request.model_type != sedge_statement::ModelType::Custom && request.model_type != facts.model_type {
        "type"
    } else if request.metadata.keys().any(|key| PeatManifest::is_reserved(key)) {
        "metadata under `peat.`"
    } else {
        return Ok(());
    };
    Err(ApiError::usage(
        format!("the file completes the draft {}, which says another {contradicted}", reference(draft)),
        "Leave that out, or drop the draft first with `sedge model forget`.",
    ))
}
