//! What a model file says of itself, in the vocabulary's words.

mod gguf;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sedge_artifact::onnx::{DataType, Dim as HeaderDim, Limits, Port, ValueType, Weights};
use sedge_artifact::{OnnxHeader, Sniffed};
use sedge_statement::{
    Blake3, ByteSize, Dim, MemoryNeed, ModelFacts, ModelFormat, ModelId, OnnxFacts, Quantization, Sha256, TensorSpec,
    Version,
};
use serde::{Deserialize, Serialize};

use crate::api::ApiError;

/// What was read from a model file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inspection {
    /// Its format.
    pub format: ModelFormat,
    /// How most of its weights are stored.
    pub quantization: Quantization,
    /// What its header says.
    pub facts: ModelFacts,
    /// Its length, bytes.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
    /// Its BLAKE3.
    pub blake3: Blake3,
    /// The id that the file's name suggests: `digits` of `digits-1.0.0.onnx`.
    pub id: Option<ModelId>,
    /// The version that the file's name suggests.
    pub version: Option<Version>,
    /// The author's metadata.
    pub metadata: BTreeMap<String, String>,
    /// What it takes in memory at several contexts, where it is a language model.
    #[serde(default)]
    pub memory: Vec<MemoryNeed>,
    /// What else to know of the figures.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Reads and checks a model's header. Needs no agent. Blocks.
///
/// # Errors
/// A file that cannot be read, is none of the formats known, or is refused by the bounded reader.
pub fn inspect(path: &Path) -> Result<Inspection, ApiError> {
    let (mut file, length) = open(path)?;
    let mut beginning = Vec::new();
    Read::by_ref(&mut file).take(SNIFFED).read_to_end(&mut beginning).map_err(|e| unreadable(path, &e))?;
    if sedge_artifact::sniff(&beginning) == Sniffed::Gguf {
        return gguf::inspect(path, file, length, beginning);
    }
    let bytes = read(path, file, length, beginning)?;
    let header = OnnxHeader::read(&bytes, &Limits::default()).map_err(|error| {
        ApiError::refused(
            format!("{}: {error}", path.display()),
            "Export the model again as one self-contained ONNX file, and check that it arrived whole.",
        )
    })?;
    let (id, version) = suggest(path);
    Ok(Inspection {
        format: ModelFormat::Onnx,
        quantization: quantization(&header.weights),
        size_bytes: bytes.len() as u64,
        sha256: Sha256::of(&bytes),
        blake3: Blake3::of(&bytes),
        id,
        version,
        metadata: header.metadata.clone(),
        facts: ModelFacts::Onnx(facts(path, &header)?),
        memory: Vec::new(),
        notes: Vec::new(),
    })
}

/// How much of a file is looked at to tell its format, bytes.
const SNIFFED: u64 = 512;

const UNREADABLE: &str = "Check that the path is a file that can be read.";

fn unreadable(path: &Path, error: &std::io::Error) -> ApiError {
    ApiError::failed(format!("{}: {error}", path.display()), UNREADABLE)
}

fn open(path: &Path) -> Result<(File, u64), ApiError> {
    // Asked before it is opened: opening a pipe waits for whoever writes to it.
    let meta = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    if !meta.is_file() {
        return Err(ApiError::usage(format!("{}: is not a regular file", path.display()), UNREADABLE));
    }
    Ok((File::open(path).map_err(|e| unreadable(path, &e))?, meta.len()))
}

/// ONNX's reader needs the whole file at hand; protobuf ends at 2 GiB, and so does this.
fn read(path: &Path, file: File, length: u64, mut bytes: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    let limit = Limits::default().file as u64;
    if length > limit {
        return Err(ApiError::refused(
            format!("{}: {} is more than an ONNX file can have", path.display(), ByteSize(length)),
            "Give an ONNX model of less than 2 GiB.",
        ));
    }
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    Ok(bytes)
}

fn facts(path: &Path, header: &OnnxHeader) -> Result<OnnxFacts, ApiError> {
    let wide = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let specs = |ports: &[Port]| ports.iter().map(|port| spec(path, port)).collect::<Result<Vec<_>, _>>();
    Ok(OnnxFacts {
        ir_version: wide(header.ir_version),
        opsets: header.opsets.iter().map(|(domain, version)| (domain.clone(), wide(*version))).collect(),
        producer: format!("{} {}", header.producer, header.producer_version).trim().to_owned(),
        inputs: specs(&header.inputs)?,
        outputs: specs(&header.outputs)?,
        parameters: header.parameters,
        weight_bytes: ByteSize(header.weight_bytes),
    })
}

fn spec(path: &Path, port: &Port) -> Result<TensorSpec, ApiError> {
    let ValueType::Tensor(tensor) = &port.value else {
        return Err(ApiError::refused(
            format!("{}: {:?} is not a dense tensor, and only those can be served", path.display(), port.name),
            "Export the model with tensors as inputs and outputs.",
        ));
    };
    let shape = tensor.shape.as_deref().unwrap_or_default();
    let dim = |dim: &HeaderDim| match dim {
        HeaderDim::Fixed(n) => Dim::Fixed(*n),
        HeaderDim::Symbolic(name) => Dim::Named(name.clone()),
        HeaderDim::Unknown => Dim::Unknown,
    };
    Ok(TensorSpec {
        name: port.name.clone(),
        datatype: tensor.datatype.to_string(),
        shape: shape.iter().map(dim).collect(),
    })
}

/// The type that holds most bytes, where it holds nine tenths of them.
fn quantization(weights: &BTreeMap<DataType, Weights>) -> Quantization {
    let total: u64 = weights.values().map(|w| w.bytes).sum();
    let Some((most, share)) = weights.iter().max_by_key(|(_, w)| w.bytes) else { return Quantization::F32 };
    if u128::from(share.bytes) * 10 < u128::from(total) * 9 {
        return Quantization::Mixed;
    }
    match most {
        DataType::Fp32 => Quantization::F32,
        DataType::Fp16 => Quantization::F16,
        DataType::Bf16 => Quantization::Bf16,
        DataType::Int8 | DataType::Uint8 => Quantization::Int8,
        _ => Quantization::Mixed,
    }
}

/// `NAME-VERSION.onnx`, where the version begins with a digit; else the stem alone.
fn suggest(path: &Path) -> (Option<ModelId>, Option<Version>) {
    let Some(stem) = path.file_stem().and_then(|s| s.to_str()) else { return (None, None) };
    let stem = stem.to_ascii_lowercase();
    let split = stem.match_indices('-').find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    match split {
        Some((at, _)) => (stem[..at].parse().ok(), stem[at + 1..].parse().ok()),
        None => (stem.parse().ok(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(name: &str) -> (Option<String>, Option<String>) {
        let (id, version) = suggest(Path::new(name));
        (id.map(|n| n.to_string()), version.map(|n| n.to_string()))
    }

    #[test]
    fn a_file_name_suggests_id_and_version_where_it_holds_them() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(suggested("/x/digits-1.0.0.onnx"), (some("digits"), some("1.0.0")));
        assert_eq!(suggested("mnist-small.onnx"), (some("mnist-small"), None));
        assert_eq!(suggested("yolo-v8-8.1.onnx"), (some("yolo-v8"), some("8.1")));
        assert_eq!(suggested("a b.onnx"), (None, None));
    }
}
