//! A manifest of Peat's, parsed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::error::{JsonPath, PeatDefect, PeatError};
use super::field::{Field, Object};
use super::json;
use crate::{
    Architecture, ByteSize, FileName, HardwareRequirements, ModelFormat, ModelId, ModelType, Quantization, Sha256,
    Version,
};

/// Before the name of a field in a release's metadata.
pub(super) const PREFIX: &str = "peat.";
/// The most that kept fields, licence and source may take together, bytes. A release's text may take 16 KiB, and the
/// model file's own metadata wants room too.
const MAX_KEPT: usize = 12 << 10;
/// The longest file name that a [`FileName`] takes, bytes.
const MAX_FILE_NAME: usize = 127;

const TYPES: &str = "detector, llm, tracker, embedder, vlm, whisper, custom";
const FORMATS: &str = "onnx, gguf, tensorrt, pytorch, safetensors";
const QUANTIZATIONS: &str = "F32, F16, BF16, INT8, Q4_0, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, Q8_0";

/// What a manifest says, in the vocabulary's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeatFacts {
    /// The model.
    pub id: ModelId,
    /// Its version.
    pub version: Version,
    /// Its name, for people.
    pub name: String,
    /// What it is for.
    pub model_type: ModelType,
    /// The file's format.
    pub format: ModelFormat,
    /// How its weights are stored.
    pub quantization: Quantization,
    /// The file's length, bytes; absent until one is added.
    pub size: Option<ByteSize>,
    /// The file's digest; absent until one is added.
    pub sha256: Option<Sha256>,
    /// The licence; empty where absent.
    pub license: String,
    /// Where it comes from; empty where absent.
    pub source: String,
    /// The greater of the two memory minima, and the architectures.
    pub requirements: HardwareRequirements,
    /// The name of its file: `{model_id}-{version with _ for .}-{quantization in lower case}.{extension}`.
    pub file_name: FileName,
}

/// A manifest of Peat's: what it says, and the JSON that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct PeatManifest {
    pub(super) json: Map<String, Value>,
    facts: PeatFacts,
}

impl PeatManifest {
    /// The longest document, bytes.
    pub const MAX_BYTES: usize = json::MAX_BYTES;

    /// Reads a manifest.
    ///
    /// # Errors
    /// See [`PeatError`].
    pub fn read(text: &str) -> Result<Self, PeatError> {
        json::read(text).and_then(Self::from_value)
    }

    /// Takes JSON that was read as strictly.
    pub(super) fn from_value(value: Value) -> Result<Self, PeatError> {
        Self::at(value, &JsonPath::default())
    }

    /// Takes the JSON of a place in a document.
    pub(super) fn at(value: Value, at: &JsonPath) -> Result<Self, PeatError> {
        let Value::Object(json) = value else {
            return Err(PeatDefect::WrongType { found: "no object".to_owned(), wanted: "an object" }.at(at));
        };
        let facts = facts(&Object::new(&json, at), at)?;
        let manifest = Self { json, facts };
        manifest.check_kept(at)?;
        Ok(manifest)
    }

    /// What it says.
    pub fn facts(&self) -> &PeatFacts {
        &self.facts
    }

    /// The JSON, every field equal to what was read.
    pub fn to_json(&self) -> Value {
        Value::Object(self.json.clone())
    }

    /// What a release's own fields do not say, as its metadata keeps it.
    pub(super) fn kept(&self) -> BTreeMap<String, String> {
        let native = native(&self.facts);
        let by_file = |key: &str, value: &Value| match key {
            "size_bytes" => true,
            "sha256" => *value == json!(self.facts.sha256.map(|d| d.to_string()).unwrap_or_default()),
            _ => false,
        };
        let others = self.json.iter().filter(|(key, value)| native.get(*key) != Some(*value) && !by_file(key, value));
        others.map(|(key, value)| (format!("{PREFIX}{key}"), value.to_string())).collect()
    }

    fn check_kept(&self, at: &JsonPath) -> Result<(), PeatError> {
        let kept = self.kept();
        let weight = |(key, value): (&String, &String)| key.len() + value.len();
        let all = kept.iter().map(weight).sum::<usize>() + self.facts.license.len() + self.facts.source.len();
        if all <= MAX_KEPT {
            return Ok(());
        }
        let greatest = kept.iter().max_by_key(|pair| weight(*pair)).map_or("", |(key, _)| &key[PREFIX.len()..]);
        Err(PeatDefect::TooMuchKept { found: all, limit: MAX_KEPT }.at(&at.field(greatest)))
    }
}

/// The fields that a release says by itself, the file's apart.
fn native(facts: &PeatFacts) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |key: &str, value: &str| map.insert(key.to_owned(), value.into());
    put("model_id", facts.id.as_str());
    put("version", facts.version.as_str());
    put("model_type", facts.model_type.word());
    put("format", facts.format.word());
    put("quantization", facts.quantization.word());
    for (key, text) in [("license", &facts.license), ("source", &facts.source)] {
        if !text.is_empty() {
            put(key, text);
        }
    }
    map
}

fn facts(object: &Object<'_>, at: &JsonPath) -> Result<PeatFacts, PeatError> {
    object.check_keys()?;
    let id: ModelId = object.required("model_id", "the model's id")?.name()?;
    let name = object.required("name", "the model's name")?.text()?.to_owned();
    let model_type = object.required("model_type", "what the model is for")?.word(TYPES)?;
    let format = object.required("format", "the file's format")?.word(FORMATS)?;
    let version: Version = object.required("version", "the model's version")?.name()?;
    let quantization = object.required("quantization", "how the weights are stored")?.word(QUANTIZATIONS)?;
    let size = object.required("size_bytes", "the file's length, or 0")?.whole(0, u64::MAX)?;
    let sha256 = object.required("sha256", "the file's SHA-256, or \"\"")?.sha256()?;
    let requirements = requirements(&object.required("requirements", "an object")?)?;
    let text = |key| object.optional(key).map_or(Ok(String::new()), |field| field.text().map(str::to_owned));
    let (license, source) = (text("license")?, text("source")?);
    check_others(object)?;
    let file_name = file_name(&id, &version, quantization, format, at)?;
    let size = (size > 0).then_some(ByteSize(size));
    Ok(PeatFacts {
        id,
        version,
        name,
        model_type,
        format,
        quantization,
        size,
        sha256,
        license,
        source,
        requirements,
        file_name,
    })
}

/// The fields that are only kept, where they are of a type that means something.
fn check_others(object: &Object<'_>) -> Result<(), PeatError> {
    for key in ["features", "classes"] {
        object.optional(key).map_or(Ok(()), |field| field.texts().map(drop))?;
    }
    for key in ["blob_hash", "download_url"] {
        object.optional(key).map_or(Ok(()), |field| field.text().map(drop))?;
    }
    object.optional("params_billions").map_or(Ok(()), |field| field.amount())?;
    object.optional("context_length").map_or(Ok(()), |field| field.whole(0, u32::MAX.into()).map(drop))?;
    object.optional("created_at").map_or(Ok(()), |field| field.time())
}

fn requirements(field: &Field<'_>) -> Result<HardwareRequirements, PeatError> {
    let object = field.object()?;
    object.check_keys()?;
    let mib = |key| object.optional(key).map_or(Ok(0), |field| field.whole(0, u32::MAX.into()));
    let (vram, ram) = (mib("min_vram_mb")?, mib("min_ram_mb")?);
    mib("recommended_vram_mb")?;
    object.optional("execution_providers").map_or(Ok(()), |field| field.texts().map(drop))?;
    let mut architectures: BTreeSet<Architecture> = BTreeSet::new();
    if let Some(field) = object.optional("architectures") {
        for field in field.texts()? {
            architectures.insert(field.name()?);
        }
    }
    // One pool on a Jetson: the sum would ask twice for the same bytes.
    Ok(HardwareRequirements { memory: ByteSize::mib(vram.max(ram)), architectures })
}

fn file_name(
    id: &ModelId,
    version: &Version,
    quantization: Quantization,
    format: ModelFormat,
    at: &JsonPath,
) -> Result<FileName, PeatError> {
    let extension = match format {
        ModelFormat::Onnx => "onnx",
        ModelFormat::Gguf => "gguf",
        ModelFormat::TensorRt => "engine",
        ModelFormat::PyTorch => "pt",
        ModelFormat::Safetensors => "safetensors",
    };
    let version = version.as_str().replace('.', "_");
    let name = format!("{id}-{version}-{}.{extension}", quantization.word().to_ascii_lowercase());
    let limit = MAX_FILE_NAME;
    // Names joined by such letters are a name again; only the length, and a dot at the id's end, can be too much.
    name.parse().map_err(|_| PeatDefect::FileName { found: name.len(), limit }.at(&at.field("version")))
}
