//! From a manifest and its file to a release, and back.

use serde_json::{Map, Value, json};

use super::error::{JsonPath, PeatDefect, PeatError};
use super::json;
use super::manifest::{PREFIX, PeatManifest};
use crate::{Manifest, ModelType, Release};

impl PeatManifest {
    /// What is published for a file that was proven: the manifest that the file alone makes, with what this one says.
    ///
    /// Memory stays at least what the file alone asks for.
    #[must_use]
    pub fn complete(&self, mut manifest: Manifest) -> Manifest {
        let facts = self.facts();
        manifest.id = facts.id.clone();
        manifest.version = facts.version.clone();
        manifest.model_type = facts.model_type;
        manifest.license = facts.license.clone();
        manifest.source = facts.source.clone();
        for variant in &mut manifest.variants {
            variant.requirements.memory = variant.requirements.memory.max(facts.requirements.memory);
            variant.requirements.architectures = facts.requirements.architectures.clone();
        }
        manifest.metadata.retain(|key, _| !Self::is_reserved(key));
        manifest.metadata.extend(self.kept());
        manifest
    }

    /// Whether a key of a release's metadata is one of those that keep a field.
    pub fn is_reserved(key: &str) -> bool {
        key.starts_with(PREFIX)
    }

    /// The manifest of a release, of its first variant: each field equal to what was imported, where it was.
    ///
    /// # Errors
    /// What Peat has no word for, as weights of no one type; and metadata that somebody else wrote under these keys.
    pub fn of_release(release: &Release) -> Result<Self, PeatError> {
        let manifest = &release.manifest;
        let root = JsonPath::default();
        let Some(variant) = manifest.variants.first() else {
            return Err(PeatDefect::Missing { wanted: "a variant" }.at(&root));
        };
        let mut map = Map::new();
        let model_type = match manifest.model_type {
            ModelType::Classifier => ModelType::Custom,
            other => other,
        };
        map.insert("model_id".into(), manifest.id.as_str().into());
        map.insert("version".into(), manifest.version.as_str().into());
        map.insert("model_type".into(), model_type.word().into());
        map.insert("format".into(), variant.format.word().into());
        map.insert("quantization".into(), variant.quantization.word().into());
        for (key, text) in [("license", &manifest.license), ("source", &manifest.source)] {
            if !text.is_empty() {
                map.insert(key.into(), text.as_str().into());
            }
        }
        map.insert("size_bytes".into(), variant.entry().size.get().into());
        map.insert("sha256".into(), variant.entry().sha256.to_string().into());
        let kept: Vec<_> =
            manifest.metadata.iter().filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?, text))).collect();
        if kept.is_empty() {
            invent(&mut map, release);
        }
        for (key, text) in kept {
            let at = root.field(key);
            let value = json::read(text).map_err(|error| PeatError { at: at.clone(), defect: error.defect })?;
            // What the release says by itself is not said again; only the digest's capitals are.
            let is_same = key == "sha256" && is_digest(&value, &variant.entry().sha256.to_string());
            if map.contains_key(key) && !is_same {
                return Err(PeatDefect::TwiceNamed.at(&at));
            }
            map.insert(key.to_owned(), value);
        }
        Self::from_value(Value::Object(map))
    }
}

/// What Peat wants said of a model that did not come from there.
fn invent(map: &mut Map<String, Value>, release: &Release) {
    let manifest = &release.manifest;
    let needs = &manifest.variants[0].requirements;
    let requirements = json!({
        "min_vram_mb": 0,
        "recommended_vram_mb": 0,
        "min_ram_mb": needs.memory.get().div_ceil(1 << 20),
        "execution_providers": ["cpu"],
        "architectures": needs.architectures,
    });
    map.insert("name".into(), manifest.id.as_str().into());
    map.insert("requirements".into(), requirements);
    map.insert("features".into(), json!([]));
    map.insert("created_at".into(), release.published_at.to_string().into());
}

fn is_digest(value: &Value, sha256: &str) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(sha256))
}
