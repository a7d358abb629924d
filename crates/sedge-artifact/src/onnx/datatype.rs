//! The element types of ONNX tensors.

use std::fmt;

use serde::Serialize;

/// What one element of a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "each is named for what it is")]
#[non_exhaustive]
pub enum DataType {
    Fp32,
    Fp16,
    Bf16,
    Fp64,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bool,
    String,
    Int4,
    Uint4,
    Int2,
    Uint2,
    Fp8E4m3fn,
    Fp8E4m3fnuz,
    Fp8E5m2,
    Fp8E5m2fnuz,
    Fp8E8m0,
    Fp6E2m3,
    Fp6E3m2,
    Fp4E2m1,
    Complex64,
    Complex128,
}

/// Which of a tensor's typed fields holds its elements when `raw_data` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypedField {
    Floats,
    Int32s,
    Strings,
    Int64s,
    Doubles,
    Uint64s,
}

impl DataType {
    /// The type with this number in `TensorProto.DataType`.
    pub fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::Fp32,
            2 => Self::Uint8,
            3 => Self::Int8,
            4 => Self::Uint16,
            5 => Self::Int16,
            6 => Self::Int32,
            7 => Self::Int64,
            8 => Self::String,
            9 => Self::Bool,
            10 => Self::Fp16,
            11 => Self::Fp64,
            12 => Self::Uint32,
            13 => Self::Uint64,
            14 => Self::Complex64,
            15 => Self::Complex128,
            16 => Self::Bf16,
            17 => Self::Fp8E4m3fn,
            18 => Self::Fp8E4m3fnuz,
            19 => Self::Fp8E5m2,
            20 => Self::Fp8E5m2fnuz,
            21 => Self::Uint4,
            22 => Self::Int4,
            23 => Self::Fp4E2m1,
            24 => Self::Fp8E8m0,
            25 => Self::Uint2,
            26 => Self::Int2,
            27 => Self::Fp6E2m3,
            28 => Self::Fp6E3m2,
            _ => return None,
        })
    }

    /// The name in the Open Inference Protocol v2, for the types which that protocol can carry.
    ///
    /// Strings are `BYTES` there.
    pub fn open_inference_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Fp32 => "FP32",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp64 => "FP64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Bool => "BOOL",
            Self::String => "BYTES",
            _ => return None,
        })
    }

    /// The width of one element when packed, in bits; `None` for strings, which have no fixed width.
    pub fn bits(self) -> Option<u64> {
        Some(match self {
            Self::Int2 | Self::Uint2 => 2,
            Self::Int4 | Self::Uint4 | Self::Fp4E2m1 => 4,
            Self::Fp6E2m3 | Self::Fp6E3m2 => 6,
            Self::Int8 | Self::Uint8 | Self::Bool => 8,
            Self::Fp8E4m3fn | Self::Fp8E4m3fnuz | Self::Fp8E5m2 | Self::Fp8E5m2fnuz | Self::Fp8E8m0 => 8,
            Self::Fp16 | Self::Bf16 | Self::Int16 | Self::Uint16 => 16,
            Self::Fp32 | Self::Int32 | Self::Uint32 => 32,
            Self::Fp64 | Self::Int64 | Self::Uint64 | Self::Complex64 => 64,
            Self::Complex128 => 128,
            Self::String => return None,
        })
    }

    /// How many bytes `elements` of this type fill as raw data, the last one padded; `None` for strings or on overflow.
    pub fn raw_bytes(self, elements: u64) -> Option<u64> {
        Some(elements.checked_mul(self.bits()?)?.div_ceil(8))
    }

    /// The typed field that may hold elements of this type.
    pub(super) fn typed_field(self) -> TypedField {
        match self {
            Self::Fp32 | Self::Complex64 => TypedField::Floats,
            Self::Fp64 | Self::Complex128 => TypedField::Doubles,
            Self::Int64 => TypedField::Int64s,
            Self::Uint32 | Self::Uint64 => TypedField::Uint64s,
            Self::String => TypedField::Strings,
            _ => TypedField::Int32s,
        }
    }

    /// How many entries of that field `elements` take; `None` on overflow.
    pub(super) fn typed_entries(self, elements: u64) -> Option<u64> {
        match self {
            Self::Complex64 | Self::Complex128 => elements.checked_mul(2),
            Self::Int4 | Self::Uint4 | Self::Fp4E2m1 => Some(elements.div_ceil(2)),
            Self::Int2 | Self::Uint2 => Some(elements.div_ceil(4)),
            _ => Some(elements),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "STRING",
            Self::Int4 => "INT4",
            Self::Uint4 => "UINT4",
            Self::Int2 => "INT2",
            Self::Uint2 => "UINT2",
            Self::Fp8E4m3fn => "FP8E4M3FN",
            Self::Fp8E4m3fnuz => "FP8E4M3FNUZ",
            Self::Fp8E5m2 => "FP8E5M2",
            Self::Fp8E5m2fnuz => "FP8E5M2FNUZ",
            Self::Fp8E8m0 => "FP8E8M0",
            Self::Fp6E2m3 => "FP6E2M3",
            Self::Fp6E3m2 => "FP6E3M2",
            Self::Fp4E2m1 => "FP4E2M1",
            Self::Complex64 => "COMPLEX64",
            Self::Complex128 => "COMPLEX128",
            known => known.open_inference_name().expect("every other type has a name in the protocol"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_type_with_a_name_and_a_size() {
        let mut names = std::collections::BTreeSet::new();
        for code in 1..=28 {
            let datatype = DataType::from_code(code).unwrap();
            assert!(names.insert(datatype.to_string()));
            assert_eq!(datatype.bits().is_none(), datatype == DataType::String);
        }
        assert_eq!(DataType::from_code(0), None);
        assert_eq!(DataType::from_code(29), None);
    }

    #[test]
    fn narrow_elements_are_packed_and_the_last_byte_is_padded() {
        assert_eq!(DataType::Int4.raw_bytes(5), Some(3));
        assert_eq!(DataType::Uint2.raw_bytes(5), Some(2));
        assert_eq!(DataType::Fp6E2m3.raw_bytes(5), Some(4));
        assert_eq!(DataType::Fp32.raw_bytes(u64::MAX / 16), None);
        assert_eq!(DataType::Int4.typed_entries(5), Some(3));
        assert_eq!(DataType::Fp6E2m3.typed_entries(5), Some(5));
        assert_eq!(DataType::Complex64.typed_entries(5), Some(10));
    }

    #[test]
    fn strings_travel_as_bytes() {
        assert_eq!(DataType::String.open_inference_name(), Some("BYTES"));
        assert_eq!(DataType::String.to_string(), "STRING");
        assert_eq!(DataType::Complex64.open_inference_name(), None);
    }
}
