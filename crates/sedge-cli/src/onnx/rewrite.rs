//! Models made from a model: the same answers under another digest, or with more bytes.

use super::protobuf::{self, Content, ProtobufError};

/// `ModelProto.graph`.
const GRAPH: u64 = 7;
/// `ModelProto.metadata_props`.
const METADATA: u64 = 14;
/// `GraphProto.initializer`.
const INITIALIZER: u64 = 5;
/// `TensorProto.DataType.UINT8`.
const UINT8: u64 = 2;

/// Why a model cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RewriteError {
    /// Give an ONNX file.
    #[error("the model {0}")]
    Protobuf(#[from] ProtobufError),
    /// Give an ONNX model; parts of one are not enough.
    #[error("the model has no graph")]
    NoGraph,
}

/// The model with one more entry of metadata: other bytes, the same answers.
pub(crate) fn with_metadata(model: &[u8], key: &str, value: &str) -> Result<Vec<u8>, RewriteError> {
    let mut graphs = 0;
    for field in protobuf::fields(model) {
        graphs += usize::from(field?.number == GRAPH);
    }
    if graphs == 0 {
        return Err(RewriteError::NoGraph);
    }
    let mut entry = Vec::new();
    protobuf::put_bytes(&mut entry, 1, key.as_bytes());
    protobuf::put_bytes(&mut entry, 2, value.as_bytes());
    let mut out = model.to_vec();
    protobuf::put_bytes(&mut out, METADATA, &entry);
    Ok(out)
}

/// The model with one more initializer, which no node uses, of so many incompressible bytes: a file of any size that
/// answers as before. The bytes follow from the name alone, so that the digest is the same on every machine.
pub(crate) fn with_ballast(model: &[u8], name: &str, bytes: usize) -> Result<Vec<u8>, RewriteError> {
    let mut out = Vec::with_capacity(model.len() + bytes + 64);
    let mut found = false;
    for field in protobuf::fields(model) {
        let field = field?;
        match field.content {
            // The graph is a singular field: a second one behind it would be refused, so it is rewritten in its place.
            Content::Bytes(graph) if field.number == GRAPH && !found => {
                found = true;
                put_graph(&mut out, graph, name, bytes);
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    if found { Ok(out) } else { Err(RewriteError::NoGraph) }
}

fn put_graph(out: &mut Vec<u8>, graph: &[u8], name: &str, bytes: usize) {
    let mut tensor = Vec::new();
    protobuf::put_integer(&mut tensor, 1, bytes as u64);
    protobuf::put_integer(&mut tensor, 2, UINT8);
    protobuf::put_bytes(&mut tensor, 8, name.as_bytes());
    protobuf::put_header(&mut tensor, 9, bytes);
    let mut initializer = Vec::new();
    protobuf::put_header(&mut initializer, INITIALIZER, tensor.len() + bytes);
    protobuf::put_header(out, GRAPH, graph.len() + initializer.len() + tensor.len() + bytes);
    out.extend_from_slice(graph);
    out.extend_from_slice(&initializer);
    out.extend_from_slice(&tensor);
    let start = out.len();
    out.resize(start + bytes, 0);
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut out[start..]);
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use sedge_agent::Inspection;
    use sedge_statement::ModelFacts;

    use super::*;

    const DIGITS: &[u8] = include_bytes!("../../../../models/digits/digits-1.0.0.onnx");

    fn inspect(model: &[u8]) -> Inspection {
        let mut file = tempfile::Builder::new().suffix(".onnx").tempfile().unwrap();
        file.write_all(model).unwrap();
        sedge_agent::inspect(file.path()).unwrap()
    }

    #[test]
    fn metadata_changes_the_digest_and_nothing_that_is_computed() {
        let before = inspect(DIGITS);
        let after = inspect(&with_metadata(DIGITS, "build", "2").unwrap());
        assert_ne!(before.sha256, after.sha256);
        assert_eq!(before.facts, after.facts);
        assert_eq!(after.metadata.get("build").map(String::as_str), Some("2"));
    }

    #[test]
    fn ballast_makes_a_model_as_large_as_wished_with_the_same_inputs_and_outputs() {
        const BYTES: usize = 3 << 20;
        let large = with_ballast(DIGITS, "ballast", BYTES).unwrap();
        assert!(large.len() > BYTES + DIGITS.len());
        let (before, after) = (inspect(DIGITS), inspect(&large));
        let (ModelFacts::Onnx(before), ModelFacts::Onnx(after)) = (&before.facts, &after.facts) else {
            panic!("both are ONNX models");
        };
        assert_eq!(before.inputs, after.inputs);
        assert_eq!(before.outputs, after.outputs);
        assert_eq!(after.weight_bytes.get(), before.weight_bytes.get() + BYTES as u64);
        assert_eq!(large, with_ballast(DIGITS, "ballast", BYTES).unwrap());
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert_eq!(with_ballast(b"", "x", 8), Err(RewriteError::NoGraph));
        assert_eq!(with_metadata(b"", "x", "y"), Err(RewriteError::NoGraph));
        assert!(matches!(with_ballast(&DIGITS[..DIGITS.len() - 1], "x", 8), Err(RewriteError::Protobuf(_))));
        assert!(matches!(with_metadata(b"\xff\xff", "x", "y"), Err(RewriteError::Protobuf(_))));
    }
}
