//! Releases.

use sedge_fleet::FleetView;
use sedge_statement::{ModelId, ModelRef, Release, ReleaseId};

use super::{by_prefix, name_of};
use crate::api::{ApiError, LogEntry, Model, ModelDetail, ModelVariant};
use crate::core::Core;

impl Core {
    /// Every release known, by model and then by age.
    pub(crate) fn models(&self) -> Vec<Model> {
        let view = self.view();
        let mut ids: Vec<_> = view.releases.iter().map(|(id, r)| (&r.release, *id)).collect();
        ids.sort_by_key(|(release, id)| (release.manifest.id.clone(), release.generation, *id));
        ids.into_iter().map(|(_, id)| self.describe(&view, id)).collect()
    }

    /// One release, whole.
    pub(crate) fn model(&self, text: &str) -> Result<ModelDetail, ApiError> {
        let view = self.view();
        let id = self.or_draft(text, find_release(&view, text))?;
        let release = &view.releases[&id].release;
        let holders = release.manifest.variants.first().and_then(|v| view.holders.get(&v.entry().blake3));
        Ok(ModelDetail {
            model: self.describe(&view, id),
            manifest: release.manifest.clone(),
            holders: holders.into_iter().flatten().map(|node| name_of(&view, *node)).collect(),
        })
    }

    /// A model's releases, oldest first, each with its rollouts.
    pub(crate) fn model_log(&self, model: &ModelId) -> Result<Vec<LogEntry>, ApiError> {
        let view = self.view();
        let mut releases: Vec<(ReleaseId, &Release)> = view
            .releases
            .iter()
            .map(|(id, r)| (*id, &r.release))
            .filter(|(_, release)| release.manifest.id == *model)
            .collect();
        if releases.is_empty() {
            return Err(no_model(model));
        }
        releases.sort_by_key(|(id, release)| (release.generation, *id));
        let rollouts = self.rollouts();
        let entry = |(id, release): (ReleaseId, &Release)| LogEntry {
            model: self.describe(&view, id),
            generation: release.generation.to_string(),
            rollouts: rollouts.iter().rev().filter(|r| r.release == id).cloned().collect(),
        };
        Ok(releases.into_iter().map(entry).collect())
    }

    pub(crate) fn describe(&self, view: &FleetView, id: ReleaseId) -> Model {
        let published = &view.releases[&id];
        let manifest = &published.release.manifest;
        let variant = |v: &sedge_statement::Variant| ModelVariant {
            name: v.name.clone(),
            format: v.format,
            quantization: v.quantization,
            size_bytes: v.size().get(),
            sha256: v.entry().sha256,
            blake3: v.entry().blake3,
        };
        Model {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            release: id,
            variants: manifest.variants.iter().map(variant).collect(),
            publisher: name_of(view, published.publisher),
            published_at: published.release.published_at,
            held: manifest.files().all(|file| self.blobs.has(&file.blake3)),
        }
    }
}

/// The release that `MODEL[:VERSION]`, an id or a prefix names; the newest where several fit.
pub(crate) fn find_release(view: &FleetView, text: &str) -> Result<ReleaseId, ApiError> {
    let hex = text.len() >= super::MIN_PREFIX && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && let Ok(id) = by_prefix("release", text, view.releases.keys().copied(), "sedge model list") {
        return Ok(id);
    }
    let wanted: ModelRef = text.parse().map_err(|error| {
        ApiError::usage(
            format!("{text:?} is not a model: it {error}"),
            "Write MODEL or MODEL:VERSION, as `sedge model list` shows them; for a file use `sedge model inspect`.",
        )
    })?;
    let of_model = view.releases.iter().filter(|(_, r)| r.release.manifest.id == wanted.id);
    let fits = of_model.filter(|(_, r)| wanted.version.as_ref().is_none_or(|v| *v == r.release.manifest.version));
    let fits: Vec<_> = fits.collect();
    if wanted.version.is_some() && fits.len() > 1 {
        let ids: Vec<String> = fits.iter().map(|(id, _)| id.short()).collect();
        return Err(ApiError::usage(
            format!("{wanted} was published {} times, with different content", fits.len()),
            &format!("Name the release that you mean: {}; `sedge model show` tells them apart.", ids.join(", ")),
        ));
    }
    let newest = fits.into_iter().max_by_key(|(id, r)| (r.release.generation, **id));
    newest.map(|(id, _)| *id).ok_or_else(|| no_model(&wanted))
}

fn no_model(model: &impl std::fmt::Display) -> ApiError {
    ApiError::failed(
        format!("no release of {model} is known here"),
        "`sedge model list` shows those there are; publish one with `sedge model add FILE`.",
    )
}
