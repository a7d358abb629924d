//! Publishing a model: read, check, store, say so.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use sedge_blobs::AddError;
use sedge_fleet::{Edit, FleetView};
use sedge_statement::peat::PeatManifest;
use sedge_statement::{
    ByteSize, DocKind, FileName, HardwareRequirements, Loader, Manifest, ModelFacts, ModelFile, ModelFormat, ModelId,
    Probe, Release, ReleaseId, Role, Sha256, Variant, Version,
};
use serde_json::Value;

use super::next_generation;
use crate::api::{ApiError, Model, ModelAdd, Verification, VerifiedFile};
use crate::core::{Core, now};
use crate::inspect::{Inspection, inspect};
use crate::queries::find_release;

/// The one file that may stand beside a GGUF model.
const TOKENIZER: &str = "tokenizer.json";

/// A release that is on disk, whatever else fails.
struct Written {
    release: ReleaseId,
    /// Whether this node's view shows it.
    shows: Result<(), ApiError>,
}

impl Core {
    /// Reads a model's header, takes its bytes into the store and publishes the release.
    ///
    /// The document is written last: whatever fails before leaves nothing that anybody could see.
    pub(crate) async fn add_model(&self, request: ModelAdd) -> Result<Model, ApiError> {
        self.authority(&self.view(), Role::Release)?;
        let probes = read_probes(&request.probes)?;
        let path = request.file.clone();
        let inspection =
            tokio::task::spawn_blocking(move || inspect(&path)).await.expect("inspecting does not panic")?;
        let mut names = file_names(&request, inspection.format)?;
        let draft = self.draft_of_file(&request, &inspection, &names[0])?;
        let mut request = request;
        if let Some(facts) = draft.as_ref().map(PeatManifest::facts) {
            names[0] = facts.file_name.clone();
            (request.id, request.version) = (Some(facts.id.clone()), Some(facts.version.clone()));
        }
        let id = request.id.clone().or_else(|| inspection.id.clone()).ok_or_else(|| unnamed("id", "--id digits"))?;
        let version = request
            .version
            .clone()
            .or_else(|| inspection.version.clone())
            .ok_or_else(|| unnamed("version", "--version 1.0.0"))?;

        self.refuse_other(&self.view(), &id, &version, inspection.sha256)?;
        let held = self.blobs.held();
        let mut taken = Vec::new();
        let added = match self.take_in(&request, names, &mut taken).await {
            Ok(()) => self.release_of(request, inspection, (id, version), &mut taken, probes, draft.as_ref()).await,
            Err(error) => Err(error),
        };
        if added.is_err() {
            for file in taken.iter().filter(|file| !held.contains(file)) {
                self.remove_unnamed(file).await;
            }
        }
        let written = added?;
        if let Some(draft) = &draft {
            self.draft_is_released(draft);
        }
        written.shows?;
        Ok(self.describe(&self.view(), written.release))
    }

    /// Takes the files' bytes into the store. Whatever fails, `taken` holds those that were taken.
    async fn take_in(
        &self,
        request: &ModelAdd,
        names: Vec<FileName>,
        taken: &mut Vec<ModelFile>,
    ) -> Result<(), ApiError> {
        for (path, name) in std::iter::once(&request.file).chain(&request.beside).zip(names) {
            taken.push(self.blobs.add_file(path, &name).await.map_err(add_error)?);
        }
        Ok(())
    }

    /// Nothing half-made stays; but another request may have published the same bytes meanwhile, and those stay.
    async fn remove_unnamed(&self, file: &ModelFile) {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let mut named = view.releases.values().flat_map(|published| published.release.manifest.files());
        if named.any(|other| other.blake3 == file.blake3) {
            return;
        }
        if let Err(error) = self.blobs.remove(file).await {
            tracing::warn!(%error, file = %file.name, "bytes that no release names could not be removed");
        }
    }

    /// Publishes what was taken, and the probes, which are taken too.
    async fn release_of(
        &self,
        request: ModelAdd,
        inspection: Inspection,
        (id, version): (ModelId, Version),
        taken: &mut Vec<ModelFile>,
        probes: Option<Vec<u8>>,
        draft: Option<&PeatManifest>,
    ) -> Result<Written, ApiError> {
        let files = taken.clone();
        if files.first().is_none_or(|file| file.sha256 != inspection.sha256) {
            return Err(ApiError::failed(
                format!("{} changed while it was read", request.file.display()),
                "Add it again once nothing writes to it.",
            ));
        }
        let probes = match probes {
            Some(bytes) => {
                let file = self.add_probes(&format!("{id}-{version}.probes.json"), &bytes).await?;
                taken.push(file.clone());
                Some(file)
            }
            None => None,
        };
        let manifest = Manifest {
            id,
            version,
            model_type: request.model_type,
            license: request.license,
            source: request.source,
            variants: vec![variant(&inspection, files, request.variant)?],
            probes,
            metadata: BTreeMap::from_iter(inspection.metadata.into_iter().chain(request.metadata)),
        };
        self.publish(match draft {
            Some(draft) => draft.complete(manifest),
            None => manifest,
        })
        .await
    }

    /// Refuses another model under a name that is taken, before its bytes are copied.
    fn refuse_other(&self, view: &FleetView, id: &ModelId, version: &Version, sha256: Sha256) -> Result<(), ApiError> {
        let named = |manifest: &Manifest| manifest.id == *id && manifest.version == *version;
        let is_same = |manifest: &Manifest| manifest.variants.iter().any(|variant| variant.entry().sha256 == sha256);
        let taken = view.releases.values().map(|r| &r.release.manifest).any(|m| named(m) && !is_same(m));
        if !taken {
            return Ok(());
        }
        Err(ApiError::refused(
            format!("{id}:{version} is already published, with other content"),
            "A release never changes; publish this one under a new --version.",
        ))
    }

    /// Writes a release, once. Its bytes are held from then on: nothing that a release names is removed.
    async fn publish(&self, manifest: Manifest) -> Result<Written, ApiError> {
        // Held only for this: a halt must not wait until gigabytes are copied.
        let _turn = self.authoring.lock().await;
        if let Some(file) = manifest.files().find(|file| !self.blobs.has(&file.blake3)) {
            return Err(ApiError::failed(
                format!("{} was removed meanwhile, by a request that had it too and failed", file.name),
                "Add the model again.",
            ));
        }
        manifest.check().map_err(|error| ApiError::usage(error, "Correct the manifest's fields and add it again."))?;
        let view = self.view();
        let of_model = || view.releases.iter().filter(|(_, r)| r.release.manifest.id == manifest.id);
        if let Some((id, published)) = of_model().find(|(_, r)| r.release.manifest.version == manifest.version) {
            if published.release.manifest == manifest {
                return Ok(Written { release: *id, shows: Ok(()) });
            }
            return Err(ApiError::refused(
                format!(
                    "{}:{} is already published, with other content ({})",
                    manifest.id,
                    manifest.version,
                    id.short()
                ),
                "A release never changes; publish this one under a new --version.",
            ));
        }
        let generation = next_generation(&view, of_model().map(|(_, r)| r.release.generation));
        let artifacts = manifest.files().map(|f| Edit::PutArtifact { blake3: f.blake3, size: f.size.get() }).collect();
        let release = Release { manifest, generation, published_at: now() };
        let bytes = release.to_bytes().len();
        if bytes > Release::MAX_BYTES {
            return Err(ApiError::usage(
                format!("the manifest takes {}, above {}", ByteSize(bytes as u64), ByteSize(Release::MAX_BYTES as u64)),
                "Shorten its metadata.",
            ));
        }
        let id = release.id();
        self.write(DocKind::Node, artifacts).await?;
        self.write(DocKind::Authority, vec![Edit::PutRelease(release)]).await?;
        // In this turn still: who comes next counts on seeing it.
        let shows = self.settle(self.mesh.view(), |view| view.releases.contains_key(&id)).await;
        Ok(Written { release: id, shows })
    }

    async fn add_probes(&self, name: &str, bytes: &[u8]) -> Result<ModelFile, ApiError> {
        let io = |e| ApiError::failed(format!("write the probes: {e}"), "Free space in the home's file system.");
        let mut file = tempfile::NamedTempFile::new_in(&self.home).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        let name: FileName =
            name.parse().map_err(|e| ApiError::usage(format!("{name} {e}"), "Shorten id or version."))?;
        self.blobs.add_file(file.path(), &name).await.map_err(add_error)
    }

    /// Proves the files of a release that this node holds, then tries the model beside whatever serves.
    pub(crate) async fn verify_model(&self, text: &str) -> Result<Verification, ApiError> {
        let view = self.view();
        let id = find_release(&view, text)?;
        let release = &view.releases[&id].release;
        let mut files = Vec::new();
        for file in release.manifest.files() {
            self.blobs.prove(file).await.map_err(|error| {
                ApiError::refused(
                    format!("{}: {error}", file.name),
                    "Deploy the release here, or add the file again; what failed its proof is not opened.",
                )
            })?;
            let name = file.name.to_string();
            files.push(VerifiedFile { name, size_bytes: file.size.get(), sha256: file.sha256 });
        }
        let variant = release.manifest.variants.first().expect("a checked manifest has a variant");
        let gated = self.try_model(id, variant, release.manifest.probes.as_ref()).await.map_err(|error| {
            ApiError::refused(format!("{text} does not pass: {error}"), "Look at the probe it names, and at the model.")
        })?;
        let outcome = gated.outcome();
        let probes = match outcome.trial {
            sedge_runtime::Trial::Probes(n) => n,
            sedge_runtime::Trial::MadeUp => 0,
        };
        Ok(Verification { release: id, files, probes, latency: outcome.slowest })
    }

    /// Loads a variant and puts the release's probes to it.
    pub(crate) async fn try_model(
        &self,
        release: ReleaseId,
        variant: &Variant,
        probes: Option<&ModelFile>,
    ) -> Result<sedge_runtime::Gated, String> {
        let mut paths = Vec::new();
        for file in &variant.files {
            paths.push(self.blobs.prove(file).await.map_err(|e| e.to_string())?);
        }
        let path = paths.remove(0);
        let probes = match probes {
            Some(file) => {
                let path = self.blobs.prove(file).await.map_err(|e| e.to_string())?;
                let bytes = tokio::fs::read(path).await.map_err(|e| format!("{}: {e}", file.name))?;
                Probe::read_all(&bytes).map_err(|e| format!("{}: {e}", file.name))?
            }
            None => Vec::new(),
        };
        let source = sedge_runtime::ModelSource { release, variant: variant.clone(), path, beside: paths };
        let candidate = self.host.load(source).await.map_err(|e| e.to_string())?;
        self.host.gate(candidate, probes).await.map_err(|e| e.to_string())
    }
}

fn read_probes(values: &[Value]) -> Result<Option<Vec<u8>>, ApiError> {
    if values.is_empty() {
        return Ok(None);
    }
    let bytes = Value::Array(values.to_vec()).to_string().into_bytes();
    let probes = Probe::read_all(&bytes)
        .map_err(|error| ApiError::usage(error, "Correct the probe file; models/README.md shows the form."))?;
    let bytes = Probe::write_all(&probes);
    if bytes.len() > Probe::MAX_FILE_BYTES {
        let (have, limit) = (ByteSize(bytes.len() as u64), ByteSize(Probe::MAX_FILE_BYTES as u64));
        return Err(ApiError::usage(format!("the probes take {have}, above {limit}"), "Give fewer or smaller probes."));
    }
    Ok(Some(bytes))
}

/// The names of a variant's files, where its format has a use for each of them.
fn file_names(request: &ModelAdd, format: ModelFormat) -> Result<Vec<FileName>, ApiError> {
    let names = std::iter::once(&request.file).chain(&request.beside).map(|path| file_name(path));
    let names: Vec<FileName> = names.collect::<Result<_, _>>()?;
    let others: Vec<&str> = names.iter().skip(1).map(FileName::as_str).collect();
    match (format, &others[..]) {
        (_, []) | (ModelFormat::Gguf, [TOKENIZER]) => Ok(names),
        (ModelFormat::Gguf, _) => Err(ApiError::usage(
            format!("a {format} model takes no other file than {TOKENIZER}, and {} was given", others.join(", ")),
            "Give the model's file and its tokenizer.json, in this order.",
        )),
        _ => Err(ApiError::usage(
            format!("a {format} model is one file, and {} was given too", others.join(", ")),
            "Give the model's file alone, its weights within.",
        )),
    }
}

fn file_name(path: &Path) -> Result<FileName, ApiError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.parse().map_err(|error| {
        ApiError::usage(
            format!("the file's name {name:?} {error}"),
            "Rename the file to letters, digits, '.', '_' and '-'.",
        )
    })
}

fn unnamed(what: &str, example: &str) -> ApiError {
    ApiError::usage(format!("the file's name suggests no {what}"), &format!("Give one, for instance {example}."))
}

fn variant(
    inspection: &Inspection,
    files: Vec<ModelFile>,
    name: Option<sedge_statement::VariantName>,
) -> Result<Variant, ApiError> {
    let suggested = format!("{}-{}", inspection.format, inspection.quantization).to_ascii_lowercase();
    let name = match name {
        Some(name) => name,
        None => suggested.parse().expect("format and quantization are words of letters, digits and underscores"),
    };
    // A language model's is for its default context; a longer one takes more.
    let memory = match &inspection.facts {
        ModelFacts::Gguf(facts) => facts.memory(facts.default_context(), Loader::Candle).total,
        other => other.weight_bytes(),
    };
    Ok(Variant {
        name,
        format: inspection.format,
        quantization: inspection.quantization,
        requirements: HardwareRequirements { memory, architectures: Default::default() },
        facts: inspection.facts.clone(),
        files,
    })
}

fn add_error(error: AddError) -> ApiError {
    let remedy = match &error {
        AddError::NoSpace { .. } => "Free space on the home's file system; nothing was added.",
        AddError::NotAFile(_) | AddError::Empty(_) => "Name a model file.",
        AddError::Changed(_) => "Add it again once nothing writes to it.",
        AddError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            "Free space on the home's file system; nothing was added."
        }
        _ => "Check the file and the disk; nothing was added.",
    };
    ApiError::failed(error, remedy)
}
