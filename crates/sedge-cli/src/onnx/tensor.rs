//! `TensorProto` files: the `input_N.pb` and `output_N.pb` of ONNX's own test cases.

use sedge_statement::{Datatype, Tensor, TensorError};

use super::protobuf::{self, Content, ProtobufError, varint};

/// Why a file is not a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TensorFileError {
    /// Not an ONNX tensor file.
    #[error("it {0}")]
    Protobuf(#[from] ProtobufError),
    /// A field has another wire type than ONNX gives it.
    #[error("field {0} is of the wrong type")]
    Field(u64),
    /// Strings, complex numbers and the like have no place here.
    #[error("element type {0} is not supported")]
    Type(u64),
    /// A negative dimension.
    #[error("a dimension is negative")]
    Dimension,
    /// The elements are in another file; save the tensor with its data.
    #[error("its data are in another file")]
    External,
    /// The elements do not fill the shape.
    #[error("{0}")]
    Tensor(#[from] TensorError),
}

#[derive(Default)]
struct Parts<'a> {
    dims: Vec<u64>,
    data_type: u64,
    name: &'a str,
    raw: Option<&'a [u8]>,
    /// Little-endian bytes of the typed lists.
    listed: Vec<u8>,
    varints: Vec<u64>,
}

/// Reads a tensor; `name` is what it is called where the file does not say.
pub(crate) fn read_tensor(bytes: &[u8], name: &str) -> Result<Tensor, TensorFileError> {
    let mut parts = Parts::default();
    for field in protobuf::fields(bytes) {
        let field = field?;
        let wrong = || TensorFileError::Field(field.number);
        match (field.number, field.content) {
            (1, content) => integers(content, &mut parts.dims).ok_or_else(wrong)?,
            (2, Content::Varint(n)) => parts.data_type = n,
            // Floats and doubles, packed or one by one, are already as a tensor holds them.
            (4 | 10, Content::Bytes(list)) => parts.listed.extend_from_slice(list),
            (4, Content::Fixed32(element)) => parts.listed.extend_from_slice(&element),
            (10, Content::Fixed64(element)) => parts.listed.extend_from_slice(&element),
            (5 | 7 | 11, content) => integers(content, &mut parts.varints).ok_or_else(wrong)?,
            (8, Content::Bytes(text)) => parts.name = std::str::from_utf8(text).map_err(|_| wrong())?,
            (9, Content::Bytes(raw)) => parts.raw = Some(raw),
            (13, _) | (14, Content::Varint(1..)) => return Err(TensorFileError::External),
            (2 | 4 | 8 | 9 | 10 | 14, _) => return Err(wrong()),
            _ => {}
        }
    }
    let datatype = datatype(parts.data_type).ok_or(TensorFileError::Type(parts.data_type))?;
    if parts.dims.iter().any(|d| i64::try_from(*d).is_err()) {
        return Err(TensorFileError::Dimension);
    }
    let data = match parts.raw {
        Some(raw) => raw.to_vec(),
        None => {
            let width = usize::try_from(datatype.size()).expect("an element is at most 8 bytes");
            let narrowed = parts.varints.iter().flat_map(|n| n.to_le_bytes().into_iter().take(width));
            parts.listed.into_iter().chain(narrowed).collect()
        }
    };
    let name = if parts.name.is_empty() { name } else { parts.name };
    Ok(Tensor::from_bytes(name, datatype, parts.dims, data)?)
}

/// Integers, packed or one by one.
fn integers(content: Content<'_>, out: &mut Vec<u64>) -> Option<()> {
    match content {
        Content::Varint(n) => out.push(n),
        Content::Bytes(mut list) => {
            while !list.is_empty() {
                let (n, length) = varint(list)?;
                out.push(n);
                list = &list[length..];
            }
        }
        _ => return None,
    }
    Some(())
}

fn datatype(word: u64) -> Option<Datatype> {
    Some(match word {
        1 => Datatype::Fp32,
        2 => Datatype::Uint8,
        3 => Datatype::Int8,
        4 => Datatype::Uint16,
        5 => Datatype::Int16,
        6 => Datatype::Int32,
        7 => Datatype::Int64,
        9 => Datatype::Bool,
        10 => Datatype::Fp16,
        11 => Datatype::Fp64,
        12 => Datatype::Uint32,
        13 => Datatype::Uint64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::{put_bytes, put_integer};
    use super::*;

    #[test]
    fn raw_and_listed_elements_give_the_same_tensor() {
        let floats: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        for field in [9, 4] {
            let mut message = Vec::new();
            put_integer(&mut message, 1, 1);
            put_integer(&mut message, 1, 2);
            put_integer(&mut message, 2, 1);
            put_bytes(&mut message, 8, b"x");
            put_bytes(&mut message, field, &floats);
            let tensor = read_tensor(&message, "input_0").unwrap();
            assert_eq!(tensor, Tensor::from_f32("x", vec![1, 2], &[1.5, -2.0]).unwrap());
        }
    }

    #[test]
    fn small_integers_are_narrowed_from_their_list_and_a_name_is_lent() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, &[3]);
        put_integer(&mut message, 2, 3);
        let minus_one = u64::MAX;
        for n in [1, minus_one, 7] {
            put_integer(&mut message, 5, n);
        }
        let tensor = read_tensor(&message, "input_0").unwrap();
        assert_eq!((tensor.name.as_str(), tensor.datatype), ("input_0", Datatype::Int8));
        assert_eq!(tensor.data, [1, 0xff, 7]);
    }

    #[test]
    fn tensors_that_do_not_add_up_are_refused() {
        let with = |fields: &[(u64, u64)]| {
            let mut message = Vec::new();
            fields.iter().for_each(|(number, value)| put_integer(&mut message, *number, *value));
            read_tensor(&message, "x")
        };
        assert!(matches!(with(&[(1, 2), (2, 7), (7, 1)]), Err(TensorFileError::Tensor(TensorError::Count { .. }))));
        assert!(matches!(with(&[(1, 1 << 40), (1, 1 << 40), (2, 1)]), Err(TensorFileError::Tensor(_))));
        assert_eq!(with(&[(1, u64::MAX), (2, 1)]), Err(TensorFileError::Dimension));
        assert_eq!(with(&[(2, 8)]), Err(TensorFileError::Type(8)));
        assert_eq!(with(&[(2, 1), (14, 1)]), Err(TensorFileError::External));
        assert_eq!(with(&[(8, 1)]), Err(TensorFileError::Field(8)));
    }
}
