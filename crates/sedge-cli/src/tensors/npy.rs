//! NumPy's `.npy`: a magic, a version, a header that is a Python literal, then the elements.
//!
//! Versions 1 and 2, little-endian, C order, the element types that a model here can take.

use sedge_statement::{Datatype, Tensor, TensorError};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Why bytes are not such a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NpyError {
    /// Save it with `numpy.save`.
    #[error("it is not an .npy file")]
    NotNpy,
    /// Save it with a newer or older NumPy; versions 1 and 2 are read.
    #[error("its format version {0} is not 1 or 2")]
    Version(u8),
    /// The header names no such key, or in another form than NumPy writes.
    #[error("its header lacks {0:?}")]
    Header(&'static str),
    /// Convert it: `a.astype('<f4')`.
    #[error("its element type {0:?} is not one of <f4 <f8 <i8 <i4 |u1 |b1")]
    Type(String),
    /// Save `numpy.ascontiguousarray(a)`.
    #[error("it is in Fortran order")]
    Fortran,
    /// The elements do not fill the shape.
    #[error("{0}")]
    Tensor(#[from] TensorError),
}

/// Reads an array as the tensor `name`.
pub(crate) fn read(bytes: &[u8], name: &str) -> Result<Tensor, NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::NotNpy)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(NpyError::NotNpy)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(NpyError::NotNpy)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or(NpyError::NotNpy)?;
            (usize::try_from(u32::from_le_bytes(*length)).map_err(|_| NpyError::NotNpy)?, rest)
        }
        other => return Err(NpyError::Version(other)),
    };
    let (header, data) = rest.split_at_checked(length).ok_or(NpyError::NotNpy)?;
    let header = std::str::from_utf8(header).map_err(|_| NpyError::NotNpy)?;
    if value_of(header, "fortran_order")?.starts_with("True") {
        return Err(NpyError::Fortran);
    }
    let datatype = datatype(header)?;
    Ok(Tensor::from_bytes(name, datatype, shape(header)?, data.to_vec())?)
}

/// What stands behind a key of the header's literal.
fn value_of<'a>(header: &'a str, key: &'static str) -> Result<&'a str, NpyError> {
    let at = header.find(&format!("'{key}'")).ok_or(NpyError::Header(key))?;
    let rest = header[at + key.len() + 2..].trim_start();
    Ok(rest.strip_prefix(':').ok_or(NpyError::Header(key))?.trim_start())
}

fn datatype(header: &str) -> Result<Datatype, NpyError> {
    let value = value_of(header, "descr")?;
    let word = value.strip_prefix('\'').and_then(|v| v.split_once('\'')).ok_or(NpyError::Header("descr"))?.0;
    Ok(match word {
        "<f4" => Datatype::Fp32,
        "<f8" => Datatype::Fp64,
        "<i8" => Datatype::Int64,
        "<i4" => Datatype::Int32,
        "|u1" => Datatype::Uint8,
        "|b1" => Datatype::Bool,
        other => return Err(NpyError::Type(other.to_owned())),
    })
}

fn shape(header: &str) -> Result<Vec<u64>, NpyError> {
    let wrong = NpyError::Header("shape");
    let value = value_of(header, "shape")?;
    let Some((inside, _)) = value.strip_prefix('(').and_then(|v| v.split_once(')')) else { return Err(wrong) };
    let parts = inside.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_err(|_| wrong.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        let length = u16::try_from(header.len()).unwrap();
        bytes.extend(length.to_le_bytes());
        if version > 1 {
            bytes.extend([0, 0]);
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    const HEADER: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }      \n";

    #[test]
    fn both_versions_give_the_array() {
        let data: Vec<u8> = [0.5f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let want = Tensor::from_f32("image", vec![2, 1], &[0.5, 2.0]).unwrap();
        assert_eq!(read(&file(1, HEADER, &data), "image"), Ok(want.clone()));
        assert_eq!(read(&file(2, HEADER, &data), "image"), Ok(want));
    }

    #[test]
    fn every_element_type_and_rank_is_read() {
        let types = [("<f8", 8), ("<i8", 8), ("<i4", 4), ("|u1", 1), ("|b1", 1)];
        for (word, width) in types {
            let header = format!("{{'descr': '{word}', 'fortran_order': False, 'shape': (3,), }}\n");
            let tensor = read(&file(1, &header, &vec![0; 3 * width]), "x").unwrap();
            assert_eq!((tensor.shape, tensor.data.len()), (vec![3], 3 * width), "{word}");
        }
        let scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n";
        assert_eq!(read(&file(1, scalar, &[7]), "x").unwrap().shape, Vec::<u64>::new());
    }

    #[test]
    fn other_files_are_refused_by_what_is_wrong_with_them() {
        let with = |from: &str, to: &str| read(&file(1, &HEADER.replace(from, to), &[0; 8]), "x");
        assert_eq!(with("<f4", ">f4"), Err(NpyError::Type(">f4".to_owned())));
        assert_eq!(with("False", "True"), Err(NpyError::Fortran));
        assert_eq!(with("'shape'", "'form'"), Err(NpyError::Header("shape")));
        assert_eq!(with("(2, 1)", "(2, x)"), Err(NpyError::Header("shape")));
        assert_eq!(with("(2, 1)", "(2, -1)"), Err(NpyError::Header("shape")));
        assert!(matches!(with("(2, 1)", "(2, 2)"), Err(NpyError::Tensor(TensorError::Count { .. }))));
        assert!(matches!(with("2, 1", "9999999999, 9999999999"), Err(NpyError::Tensor(TensorError::TooLarge { .. }))));
        assert_eq!(read(&file(3, HEADER, &[]), "x"), Err(NpyError::Version(3)));
        assert_eq!(read(b"PK", "x"), Err(NpyError::NotNpy));
        let whole = file(1, HEADER, &[0; 8]);
        for end in 0..MAGIC.len() + 4 + HEADER.len() {
            assert_eq!(read(&whole[..end], "x"), Err(NpyError::NotNpy), "cut at {end}");
        }
    }
}
